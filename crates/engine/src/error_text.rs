//! Formats errors for messages and journals.

/// Formats an error with all its causes: "connection error: Connection reset by peer (os error
/// 104)".
pub(crate) fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
