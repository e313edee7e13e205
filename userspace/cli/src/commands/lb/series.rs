//! Counters over time.

use std::{fs::File, io};

use xdpsar::load_balancer::Series;

use super::Caller;
use crate::{
    args::lb::watch::Timeseries,
    moment::Since,
    output::lb::series::{SeriesTold, csv, table},
    status::Failure,
};

impl Caller {
    pub(super) fn timeseries(&self, args: &Timeseries) -> Result<(), Failure> {
        let all = self.series(args)?;
        match args.csv.as_deref() {
            Some("-") => csv(&all, &mut io::stdout().lock()).map_err(Failure::telling)?,
            Some(path) => {
                let file = File::create(path).and_then(|mut file| csv(&all, &mut file));
                file.map_err(|error| {
                    Failure::system(
                        format!("writing time series to {path}"),
                        error,
                        "name a file that may be written to",
                    )
                })?;
            }
            None if self.output.is_json() => {}
            None => return self.text(&table(&all)),
        }
        if self.output.is_json() {
            all.iter().try_for_each(|series| self.tell(&SeriesTold::from(series)))?;
        }
        Ok(())
    }

    /// All of the load balancer, or those that were named. Servers expand no
    /// `*`, so that we do.
    fn series(&self, args: &Timeseries) -> Result<Vec<Series>, Failure> {
        let since = args.since.and_then(Since::time);
        if args.paths.is_empty() {
            return Ok(self.lb.series_of(None, since)?);
        }
        let (open, exact): (Vec<&str>, Vec<&str>) =
            args.paths.iter().map(String::as_str).partition(|path| path.ends_with('*'));
        let mut all = Vec::new();
        for path in open {
            let begin = path.trim_end_matches('*');
            let lb_id = begin.strip_prefix("/lb/").and_then(|rest| rest.split('/').next());
            let Some(lb_id) = lb_id.filter(|id| !id.is_empty()) else {
                let found = "that begins with no load balancer's id";
                return Err(Failure::usage(
                    format!("the time series {path}"),
                    found,
                    "write /lb/ID/* or longer, such as /lb/2/session/7/*",
                ));
            };
            let of_lb = self.lb.series_of(Some(lb_id), since)?;
            all.extend(of_lb.into_iter().filter(|series| series.name.starts_with(begin)));
        }
        if !exact.is_empty() {
            all.extend(self.lb.timeseries(&exact, since)?);
        }
        Ok(all)
    }
}
