use std::io;

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::config::LogFormat;

/// Why nothing is logged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("log: {filter:?} is no filter such as info or info,net=debug")]
    Filter {
        filter: String,
        #[source]
        cause: ParseError,
    },
}

/// Logs to stderr from now on, what `filter` lets through. A second call has no effect.
///
/// Secrets stay out because their type does not show them, not by any filter here.
///
/// # Errors
/// [`LogError`] if `filter` is not understood.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(), LogError> {
    let parsed =
        EnvFilter::builder().parse(filter).map_err(|cause| LogError::Filter { filter: filter.to_owned(), cause })?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(io::stderr).with_ansi(false);
    let _ = match format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    Ok(())
}
