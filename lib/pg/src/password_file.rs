//! The password file of libpq.

pub(crate) fn find(_host: &str, _port: u16, _database: &str, _user: &str) -> Option<String> {
    None
}
