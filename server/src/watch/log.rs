//! The log: lines of JSON on standard error, whose filter can change while the program runs.

use tracing_subscriber::{
    EnvFilter, Registry, fmt,
    layer::SubscriberExt as _,
    reload::{self, Handle},
    util::SubscriberInitExt as _,
};

/// The variable that outranks the configuration.
const VARIABLE: &str = "RUST_LOG";
/// Until the configuration is read.
const FIRST: &str = "info,object_store=warn";

/// Which lines are written.
pub struct LogFilter {
    handle: Handle<EnvFilter, Registry>,
    fixed: bool,
}

impl LogFilter {
    /// Begins the log of this process; a second call, in a test, changes nothing.
    pub fn start() -> Self {
        let asked = EnvFilter::try_from_env(VARIABLE).ok();
        let fixed = asked.is_some();
        let (filter, handle) = reload::Layer::new(asked.unwrap_or_else(|| EnvFilter::new(FIRST)));
        let lines = fmt::layer().json().with_writer(std::io::stderr);
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        Self { handle, fixed }
    }

    /// Whether a text is a filter.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(text: &str) -> Result<(), String> {
        EnvFilter::builder().parse(text).map(drop).map_err(|error| format!("is no filter: {error}"))
    }

    /// Puts another filter in the place of the former one, unless `RUST_LOG` said which. One that was not checked and is
    /// none changes nothing.
    pub fn set(&self, text: &str) {
        let filter = EnvFilter::builder().parse(text).ok().filter(|_| !self.fixed);
        if let Some(filter) = filter {
            // Without a log, as in a test that has none, there is nothing to change.
            let _ = self.handle.reload(filter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_is_told() {
        for good in ["info", "info,access=off", "aegis_server=debug", "off"] {
            assert_eq!(LogFilter::check(good), Ok(()), "{good}");
        }
        for bad in ["info,,=", "access=loud", "a=b=c"] {
            assert!(LogFilter::check(bad).is_err_and(|problem| problem.contains("is no filter")), "{bad}");
        }
    }
}
