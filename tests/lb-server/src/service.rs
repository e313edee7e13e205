//! From a request's path to the call.

use std::{
    future::{Ready, pending, ready},
    io,
    sync::Arc,
};

use hyper::{Request, Response, body::Incoming, header::AUTHORIZATION};
use tonic::{
    Code, Status,
    body::Body,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, UnaryService},
};
use tonic_prost::ProstCodec;
use xdpsar_control::message::SERVICE;

use crate::{
    book::{Book, Caller},
    fault::Fault,
    server::Shared,
};

pub(crate) fn invalid(words: impl Into<String>) -> Status {
    Status::invalid_argument(words)
}

pub(crate) fn internal(words: impl Into<String>) -> Status {
    Status::internal(words)
}

/// One call of the book's.
struct Unary<F> {
    shared: Arc<Shared>,
    caller: Caller,
    call: F,
}

impl<F, Q, A> UnaryService<Q> for Unary<F>
where
    F: Fn(&mut Book, &Caller, Q) -> Result<A, Status>,
{
    type Response = A;
    type Future = Ready<Result<tonic::Response<A>, Status>>;

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        let answer =
            self.shared.with_book(|book| (self.call)(book, &self.caller, request.into_inner()));
        ready(answer.map(tonic::Response::new))
    }
}

/// Answers with bytes as they are.
#[derive(Clone)]
struct Raw(Vec<u8>);

impl UnaryService<()> for Raw {
    type Response = Vec<u8>;
    type Future = Ready<Result<tonic::Response<Vec<u8>>, Status>>;

    fn call(&mut self, _: tonic::Request<()>) -> Self::Future {
        ready(Ok(tonic::Response::new(self.0.clone())))
    }
}

struct RawCodec;

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        use bytes::BufMut;
        to.put_slice(&item);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for RawCodec {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        use bytes::Buf;
        from.advance(from.remaining());
        Ok(Some(()))
    }
}

/// Each call by its name.
macro_rules! dispatch {
    ($rpc:expr, $shared:expr, $caller:expr, $request:expr, { $($name:literal => $call:ident,)* }) => {
        match $rpc {
            $($name => {
                let service = Unary { shared: $shared, caller: $caller, call: Book::$call };
                Grpc::new(ProstCodec::default()).unary(service, $request).await
            })*
            other => {
                let status = Status::unimplemented(format!("there is no call {other:?}"));
                return Ok(status.into_http());
            }
        }
    };
}

pub(crate) async fn serve(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    let rpc = request.uri().path().strip_prefix(SERVICE).unwrap_or_default().to_owned();
    let authorization = request.headers().get(AUTHORIZATION);
    let caller = Caller {
        authorization: authorization.and_then(|text| Some(text.to_str().ok()?.to_owned())),
        authority: request.uri().authority().map(ToString::to_string).unwrap_or_default(),
    };
    shared.count(&rpc);
    let fault = shared.fault(&rpc);
    let unanswered = matches!(fault, Some(Fault::Unanswered));
    match fault {
        None | Some(Fault::Unanswered) => {}
        Some(Fault::Delay(duration)) => tokio::time::sleep(duration).await,
        Some(Fault::Silence) => pending().await,
        Some(Fault::Reset) => return Err(io::Error::other("broken off on demand")),
        Some(Fault::Empty) => return Ok(Grpc::new(RawCodec).unary(Raw(Vec::new()), request).await),
        Some(Fault::Reply(bytes)) => {
            return Ok(Grpc::new(RawCodec).unary(Raw(bytes), request).await);
        }
        Some(Fault::Refusal(code)) => {
            let words = format!("refused on demand, from {:?}", caller.authorization);
            return Ok(Status::new(Code::from(code), words).into_http());
        }
    }
    let answer = dispatch!(rpc.as_str(), shared, caller, request, {
        "ReserveLoadBalancer" => reserve,
        "GetLoadBalancer" => get,
        "LoadBalancerStatus" => status,
        "FreeLoadBalancer" => free,
        "AddSenders" => add_senders,
        "RemoveSenders" => remove_senders,
        "Register" => register,
        "SendState" => send_state,
        "Deregister" => deregister,
        "SetSlotDemands" => set_slot_demands,
        "Overview" => overview,
        "Timeseries" => timeseries,
        "Version" => version,
        "CreateToken" => create_token,
        "ListTokenPermissions" => list_permissions,
        "ListChildTokens" => list_children,
        "RevokeToken" => revoke,
        "ResetLoadBalancer" => reset,
        "ExtendReservation" => extend,
        "ChainLoadBalancer" => chain,
        "UnchainLoadBalancer" => unchain,
        "GetChainGraph" => chain_graph,
    });
    if unanswered {
        pending::<()>().await;
    }
    Ok(answer)
}
