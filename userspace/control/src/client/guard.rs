//! A reservation that does not outlive who made it.

use tokio::runtime::Handle;

use super::{
    LoadBalancer,
    error::Error,
    reservation::{Reserve, Reserved},
};

/// A reservation, freed at the end of its scope.
///
/// [`free`](Self::free) says whether that succeeded. Dropped, it is freed by
/// a task of the runtime, as far as that still runs; what fails then is
/// logged, and the reservation lasts until its end.
#[derive(Debug)]
pub struct Reservation {
    lb: LoadBalancer,
    reserved: Reserved,
    armed: bool,
}

impl LoadBalancer {
    /// Reserves a load balancer as long as the guard lives; see
    /// [`reserve`](Self::reserve).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn reserve_guarded(&self, wish: &Reserve) -> Result<Reservation, Error> {
        let reserved = self.reserve(wish).await?;
        Ok(Reservation { lb: self.clone(), reserved, armed: true })
    }
}

impl Reservation {
    /// What was reserved.
    pub const fn reserved(&self) -> &Reserved {
        &self.reserved
    }

    /// The client that reserved it.
    pub const fn load_balancer(&self) -> &LoadBalancer {
        &self.lb
    }

    /// Frees it.
    ///
    /// # Errors
    /// See [`Error`]. It is not tried again.
    pub async fn free(mut self) -> Result<(), Error> {
        self.armed = false;
        self.lb.free(Some(&self.reserved.lb_id)).await
    }

    /// Lets it last until its end.
    pub fn keep(mut self) -> Reserved {
        self.armed = false;
        self.reserved.clone()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (lb, lb_id) = (self.lb.clone(), self.reserved.lb_id.clone());
        let free = async move {
            if let Err(error) = lb.free(Some(&lb_id)).await {
                tracing::warn!("load balancer {lb_id} stays reserved: {error}");
            }
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(free)),
            Err(_) => tracing::warn!(
                "load balancer {} stays reserved: its guard was dropped outside of the runtime",
                self.reserved.lb_id
            ),
        }
    }
}
