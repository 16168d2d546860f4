//! How rows reach their table.

use crate::direct::Direct;
use crate::session::Role;
use crate::small::Small;

/// How the rows since the last commit travel.
pub enum Route {
    /// There is none yet.
    Open,
    /// Nowhere yet: they are few, and may share a transaction with other tables.
    Small(Small),
    /// Straight into the table, in a transaction on the run's second connection.
    Direct(Direct),
    /// Into the staging table. On the second connection its transaction is open, and the table has
    /// rows of the stream already.
    Staged(Role),
}

impl Route {
    /// Returns the connection whose transaction the rows are in, or will be.
    pub fn role(&self) -> Role {
        match self {
            Self::Direct(_) => Role::Direct,
            Self::Staged(role) => *role,
            Self::Open | Self::Small(_) => Role::Shared,
        }
    }
}
