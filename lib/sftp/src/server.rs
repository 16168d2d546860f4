//! A server that is there as long as it can be: what is asked of it is asked again after a cut.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BlockingRetryable, ExponentialBuilder};
use singer::{Context, Error, ErrorKind, Result};

use crate::attempt::{Attempt, Failure};
use crate::client::Client;
use crate::host_key::HostKeys;
use crate::link::Link;
use crate::options::Options;
use crate::packet::{Attributes, Name};

/// The pauses before a connection is made anew: they double.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// An SFTP server, logged in to.
///
/// All it does is reading, so that every call may be made again: after a cut it connects anew, so
/// often as the options say, and asks again.
#[derive(Debug)]
pub struct Server {
    options: Arc<Options>,
    state: Mutex<State>,
}

struct State {
    client: Option<Client>,
    /// Counts the connections: handles of an older one mean nothing.
    generation: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "connection {}", self.generation)
    }
}

impl Server {
    /// Connects and logs in; a server that cannot be reached at first is not asked again.
    ///
    /// Fails with `Temporary`, with `Denied` when either side does not trust the other, and with
    /// `Unavailable` when there is no SFTP.
    pub fn connect(options: Options) -> Result<Arc<Self>> {
        let state = Mutex::new(State { client: None, generation: 0 });
        let server = Self { options: Arc::new(options), state };
        server.with(|_, _| Ok(()))?;
        Ok(Arc::new(server))
    }

    /// Looks at what a path leads to.
    pub fn stat(&self, path: &str) -> Result<Attributes> {
        self.with(|client, _| client.stat(path))
    }

    /// Returns the absolute path without links.
    pub fn real_path(&self, path: &str) -> Result<Vec<u8>> {
        self.with(|client, _| client.real_path(path))
    }

    /// Lists a folder, without `.` and `..`; fails with `Config` beyond so many names.
    pub fn list(&self, path: &str, names_max: usize) -> Result<Vec<Name>> {
        let mut names = self.with(|client, _| client.list(path, names_max.saturating_add(2)))?;
        names.retain(|name| !matches!(name.name.as_slice(), b"." | b".."));
        Ok(names)
    }

    /// Does work on the connection, on a new one after a cut; `work` learns which one it is.
    pub(crate) fn with<T>(
        &self,
        mut work: impl FnMut(&mut Client, u64) -> Attempt<T>,
    ) -> Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = state.generation == 0;
        let attempts = ExponentialBuilder::default()
            .with_min_delay(PAUSE_FIRST)
            .with_max_delay(PAUSE_MAX)
            .with_max_times(self.options.reconnects_max)
            .with_jitter();
        let attempt = || {
            let generation = self.ready(&mut state)?;
            let Some(client) = &mut state.client else {
                let message = "the connection is not there";
                return Err(Failure::Refused(Error::new(ErrorKind::Internal, message)));
            };
            let done = work(client, generation);
            if matches!(&done, Err(failure) if failure.is_lost()) {
                state.client = None;
            }
            done
        };
        attempt
            .retry(attempts)
            .when(|failure: &Failure| failure.is_lost() && !first)
            .notify(|_, pause| {
                singer::warn!(
                    "W-CONNECTION-LOST",
                    "the connection to {} was lost: connecting again in {:.1} s",
                    self.options.address(),
                    pause.as_secs_f32()
                );
            })
            .call()
            .map_err(Failure::into_error)
    }

    /// Does work on the connection if it is still this one.
    pub(crate) fn with_same(&self, generation: u64, work: impl FnOnce(&mut Client)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation == generation
            && let Some(client) = &mut state.client
        {
            work(client);
        }
    }

    fn ready(&self, state: &mut State) -> Attempt<u64> {
        if state.client.is_none() {
            // Read anew each time: what the file says may have changed for a reason.
            let keys = HostKeys::of(&self.options).with("server", self.options.address())?;
            let link = Link::open(&self.options, &Arc::new(keys))?;
            state.client = Some(Client::start(link, self.options.request_timeout)?);
            state.generation += 1;
        }
        Ok(state.generation)
    }
}
