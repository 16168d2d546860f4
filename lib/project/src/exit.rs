//! How plugins end: what their exit codes and signals mean.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use singer::ErrorKind;

/// What somebody sends to end a process; the kernel does so too when there is no memory left.
const SENT: [i32; 5] = [1, 2, 3, 9, 15];

/// Returns the class of a failure. A plugin that somebody has ended may go well the next time; one
/// that has crashed will do so again. Exit codes are ours; others' codes say nothing.
pub fn kind(status: ExitStatus) -> ErrorKind {
    // A shell around a plugin tells of its signal so.
    let signal = status.signal().or_else(|| status.code()?.checked_sub(128));
    if signal.is_some_and(|signal| SENT.contains(&signal)) {
        return ErrorKind::Temporary;
    }
    // A plugin whose reader has gone was not at fault, and says nothing of the reader.
    let kinds = ErrorKind::ALL.into_iter().filter(|kind| *kind != ErrorKind::ReaderGone);
    let of_code = |kind: &ErrorKind| Some(i32::from(kind.exit_code())) == status.code();
    { kinds }.find(of_code).unwrap_or(ErrorKind::Unavailable)
}

/// Tells how a process has ended: its exit code, or the signal.
pub fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "0, before the end of its input".to_owned(),
        (Some(code), _) => code.to_string(),
        (None, Some(9)) => "signal 9 (perhaps for lack of memory)".to_owned(),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_from_outside_may_not_come_again() {
        let check = |raw: i32, expected: ErrorKind, said: &str| {
            let status = ExitStatus::from_raw(raw);
            assert_eq!((kind(status), words(status).as_str()), (expected, said), "{raw}");
        };
        check(9, ErrorKind::Temporary, "signal 9 (perhaps for lack of memory)");
        check(15, ErrorKind::Temporary, "signal 15");
        check(143 << 8, ErrorKind::Temporary, "143");
        check(11, ErrorKind::Unavailable, "signal 11");
        check(139 << 8, ErrorKind::Unavailable, "139");
        check(70 << 8, ErrorKind::Internal, "70");
        check(77 << 8, ErrorKind::Denied, "77");
        check(1 << 8, ErrorKind::Unavailable, "1");
    }
}
