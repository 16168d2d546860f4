//! The connection itself: TCP, SSH, and the channel of the `sftp` subsystem, on a thread with a
//! runtime of its own. Here asynchronous code begins and ends.

mod login;

use std::borrow::Cow;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use russh::client::{self, DisconnectReason, Handle};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Disconnect, Preferred, SshId, cipher, kex, mac};
use singer::{Error, ErrorKind};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::attempt::{Attempt, Failure};
use crate::host_key::HostKeys;
use crate::options::Options;
use crate::packet;
use crate::queue::{Filler, Put, Queue, queue};

/// What may wait to be taken: far more than is ever asked for at once.
const QUEUE_BYTES_MAX: usize = 32 << 20;
/// How much the server may send ahead of what was taken from the channel.
const WINDOW_BYTES: u32 = 8 << 20;
/// The longest packet: larger ones take less time a byte.
const PACKET_BYTES: u32 = 65_535;
/// A silent connection is asked for a sign of life so often, and given up after so many.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVES_MAX: usize = 3;
/// How long to wait for the goodbye.
const GOODBYE: Duration = Duration::from_millis(200);

/// A connection to the `sftp` subsystem of a server.
pub(crate) struct Link {
    outgoing: UnboundedSender<Vec<u8>>,
    incoming: Queue,
    ended: Arc<Mutex<Ended>>,
    address: String,
}

/// Why a connection ended.
#[derive(Default)]
struct Ended {
    /// The server's key is not to be trusted.
    untrusted: Option<Error>,
    /// The server said goodbye, with these words.
    sent_off: Option<String>,
    /// It did so because it has too much to do.
    busy: bool,
    /// The server sent more than was asked for.
    flooded: bool,
    /// The connection failed, in these words.
    failed: Option<String>,
}

impl Link {
    /// Connects and logs in.
    pub(crate) fn open(options: &Arc<Options>, keys: &Arc<HostKeys>) -> Attempt<Self> {
        let (ready, opened) = channel();
        let (outgoing, requests) = unbounded_channel();
        let (answers, incoming) = queue(QUEUE_BYTES_MAX);
        let ended = Arc::new(Mutex::new(Ended::default()));
        let address = options.address();
        let task = Task {
            options: Arc::clone(options),
            keys: Arc::clone(keys),
            ended: Arc::clone(&ended),
            requests,
            answers,
        };
        let thread = std::thread::Builder::new().name("ssh".to_owned());
        let started = thread.spawn(move || task.run(&ready));
        let no_thread = |cause: std::io::Error| {
            let message = "cannot start the connection's thread";
            Failure::Refused(Error::new(ErrorKind::Internal, message).caused_by(cause))
        };
        started.map_err(no_thread)?;
        let lost = || Err(Failure::Lost(lost(&address)));
        opened.recv().unwrap_or_else(|_| lost())?;
        Ok(Self { outgoing, incoming, ended, address })
    }

    /// Sends bytes.
    pub(crate) fn send(&self, bytes: Vec<u8>) -> Attempt<()> {
        self.outgoing.send(bytes).map_err(|_| self.cut())
    }

    /// Waits for bytes.
    pub(crate) fn receive(&self, patience: Duration) -> Attempt<Bytes> {
        match self.incoming.take(patience) {
            Ok(bytes) => Ok(bytes),
            Err(RecvTimeoutError::Disconnected) => Err(self.cut()),
            Err(RecvTimeoutError::Timeout) => Err(self.too_late(patience)),
        }
    }

    /// The failure of an answer that does not come in time.
    pub(crate) fn too_late(&self, patience: Duration) -> Failure {
        let message = "cannot get an answer from the SFTP server in time";
        Failure::Lost(
            Error::new(ErrorKind::Temporary, message)
                .with("server", &self.address)
                .with("request_timeout", format!("{} s", patience.as_secs_f32()))
                .hint("run again later; if the server is slow, raise `request_timeout`"),
        )
    }

    fn cut(&self) -> Failure {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.flooded {
            return packet::broken("it sends more data than was requested").into();
        }
        let mut failure = lost(&self.address);
        if let Some(words) = &ended.sent_off {
            failure = failure.with("the server says", words);
        }
        if let Some(words) = &ended.failed {
            failure = failure.caused_by(words.clone());
        }
        Failure::Lost(failure)
    }
}

#[cfg(test)]
impl Link {
    /// Makes the end of a connection whose other end a test plays.
    pub(crate) fn played() -> (Self, UnboundedReceiver<Vec<u8>>, Filler) {
        let (outgoing, requests) = unbounded_channel();
        let (answers, incoming) = queue(QUEUE_BYTES_MAX);
        let (ended, address) = (Arc::default(), "played:22".to_owned());
        (Self { outgoing, incoming, ended, address }, requests, answers)
    }
}

fn lost(address: &str) -> Error {
    Error::new(ErrorKind::Temporary, "the connection to the SFTP server broke")
        .with("server", address)
        .hint("run again: with the state a run continues after the last file that was read")
}

/// What the thread works with.
struct Task {
    options: Arc<Options>,
    keys: Arc<HostKeys>,
    ended: Arc<Mutex<Ended>>,
    requests: UnboundedReceiver<Vec<u8>>,
    answers: Filler,
}

impl Task {
    fn run(self, ready: &Sender<Attempt<()>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.serve(ready)),
            Err(cause) => {
                let message = "cannot start the connection's runtime";
                let failure = Error::new(ErrorKind::Internal, message).caused_by(cause);
                let _ = ready.send(Err(Failure::Refused(failure)));
            }
        }
    }

    async fn serve(mut self, ready: &Sender<Attempt<()>>) {
        let opened = timeout(self.options.connect_timeout, self.open()).await;
        let (handle, mut channel) = match opened.unwrap_or_else(|_| Err(self.too_slow())) {
            Ok(opened) => opened,
            Err(failure) => {
                let _ = ready.send(Err(failure));
                return;
            }
        };
        if ready.send(Ok(())).is_ok() {
            self.pump(&mut channel).await;
        }
        let _ = timeout(GOODBYE, handle.disconnect(Disconnect::ByApplication, "", "")).await;
        let _ = timeout(GOODBYE, handle).await;
    }

    /// Carries requests and answers until one side ends.
    async fn pump(&mut self, channel: &mut Channel<client::Msg>) {
        loop {
            tokio::select! {
                message = channel.wait() => match message {
                    Some(ChannelMsg::Data { data }) => {
                        match self.answers.put(data) {
                            Put::Waits => {}
                            Put::Gone => return,
                            Put::Full => {
                                self.ended().flooded = true;
                                return;
                            }
                        }
                    }
                    Some(ChannelMsg::Eof | ChannelMsg::Close) | None => return,
                    Some(_) => {}
                },
                request = self.requests.recv() => match request {
                    Some(bytes) => {
                        if channel.data_bytes(bytes).await.is_err() {
                            return;
                        }
                    }
                    None => return,
                },
            }
        }
    }

    fn ended(&self) -> std::sync::MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open(&self) -> Attempt<(Handle<Watch>, Channel<client::Msg>)> {
        let options = &self.options;
        let socket = TcpStream::connect((options.host.as_str(), options.port)).await;
        let socket = socket.map_err(|cause| {
            let failure = self.unreachable().caused_by(cause);
            Failure::Lost(failure.hint("check `host` and `port`, and that the server runs"))
        })?;
        // A request is small, and waited for.
        let _ = socket.set_nodelay(true);
        let watch = Watch { keys: Arc::clone(&self.keys), ended: Arc::clone(&self.ended) };
        let connected = client::connect_stream(Arc::new(self.config()), socket, watch).await;
        let mut handle = connected.map_err(|cause| self.connect_failure(cause))?;
        login::log_in(&mut handle, options, &self.ended).await?;
        let mut channel =
            handle.channel_open_session().await.map_err(|cause| self.no_subsystem(&cause))?;
        channel.request_subsystem(true, "sftp").await.map_err(|cause| self.no_subsystem(&cause))?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return Ok((handle, channel)),
                Some(ChannelMsg::Failure) => {
                    let message = "cannot read files from the server: it does not offer SFTP";
                    return Err(Failure::Refused(
                        Error::new(ErrorKind::Unavailable, message)
                            .with("server", options.address())
                            .hint("ask the owner of the server for a login with `Subsystem sftp`"),
                    ));
                }
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => {
                    return Err(Failure::Lost(lost(&options.address())));
                }
                Some(_) => {}
            }
        }
    }

    fn config(&self) -> client::Config {
        let mut preferred = Preferred::DEFAULT;
        // Signatures with SHA-1 can be forged: as OpenSSH, none is taken.
        let is_taken = |algorithm: &&Algorithm| {
            self.options.legacy || !matches!(algorithm, Algorithm::Rsa { hash: None })
        };
        let algorithms: Vec<_> = preferred.key.iter().filter(is_taken).cloned().collect();
        preferred.key = Cow::Owned(self.keys.order(&algorithms));
        // Processors have instructions for AES.
        let fast = cipher::AES_256_GCM;
        let others = preferred.cipher.iter().copied().filter(|name| *name != fast);
        preferred.cipher = std::iter::once(fast).chain(others).collect();
        if self.options.legacy {
            // Behind the safe ones, which win where the server has one.
            preferred.kex.to_mut().extend(LEGACY_KEX);
            preferred.cipher.to_mut().extend(LEGACY_CIPHERS);
            preferred.mac.to_mut().extend(LEGACY_MACS);
        }
        client::Config {
            client_id: SshId::Standard(Cow::Borrowed(concat!(
                "SSH-2.0-Chorus_",
                env!("CARGO_PKG_VERSION")
            ))),
            window_size: WINDOW_BYTES,
            maximum_packet_size: PACKET_BYTES,
            keepalive_interval: Some(KEEPALIVE),
            keepalive_max: KEEPALIVES_MAX,
            nodelay: true,
            preferred,
            ..client::Config::default()
        }
    }

    fn unreachable(&self) -> Error {
        Error::new(ErrorKind::Temporary, "cannot connect to the SFTP server")
            .with("server", self.options.address())
    }

    fn too_slow(&self) -> Failure {
        let seconds = self.options.connect_timeout.as_secs_f32();
        Failure::Lost(
            Error::new(ErrorKind::Temporary, "cannot connect to the SFTP server in time")
                .with("server", self.options.address())
                .with("connect_timeout", format!("{seconds} s"))
                .hint("check `host` and `port`, and whether a firewall blocks the port"),
        )
    }

    fn no_subsystem(&self, cause: &russh::Error) -> Failure {
        Failure::Lost(lost(&self.options.address()).caused_by(cause.to_string()))
    }

    fn connect_failure(&self, cause: russh::Error) -> Failure {
        let untrusted = self.ended().untrusted.take();
        if let Some(failure) = untrusted {
            return Failure::Refused(failure);
        }
        let address = self.options.address();
        match cause {
            russh::Error::NoCommonAlgo { kind, theirs, .. } => Failure::Refused(
                Error::new(ErrorKind::Unavailable, "cannot agree with the server on an algorithm")
                    .with("server", address)
                    .with("kind", format!("{kind:?}").to_lowercase())
                    .with("the server has", theirs.join(", "))
                    .hint(
                        "the algorithms of the server are no longer safe: update the server; until \
                          then set `legacy_algorithms` to accept them",
                    ),
            ),
            russh::Error::WrongServerSig => Failure::Refused(
                Error::new(ErrorKind::Denied, "cannot trust the server: its signature is wrong")
                    .with("server", address)
                    .hint("an attacker may pose as the server"),
            ),
            russh::Error::Version => Failure::Refused(
                Error::new(ErrorKind::Unavailable, "cannot use the server: it does not speak SSH")
                    .with("server", address)
                    .hint("check that `port` is that of the SFTP server"),
            ),
            cause => Failure::Lost(
                self.unreachable()
                    .caused_by(cause)
                    .hint("run again later; check that `port` is that of the SFTP server"),
            ),
        }
    }
}

/// What old servers have, and OpenSSH takes only when told to.
const LEGACY_KEX: [kex::Name; 3] = [kex::DH_GEX_SHA1, kex::DH_G14_SHA1, kex::DH_G1_SHA1];
const LEGACY_CIPHERS: [cipher::Name; 3] =
    [cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC];
const LEGACY_MACS: [mac::Name; 2] = [mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// Watches over the connection: whose key the server has, and why it ends.
pub(crate) struct Watch {
    keys: Arc<HostKeys>,
    ended: Arc<Mutex<Ended>>,
}

impl Watch {
    fn ended(&self) -> std::sync::MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl client::Handler for Watch {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        match self.keys.check(key) {
            Ok(()) => Ok(true),
            Err(failure) => {
                self.ended().untrusted = Some(failure);
                Ok(false)
            }
        }
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<russh::Error>,
    ) -> Result<(), russh::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(words) => {
                let mut ended = self.ended();
                ended.busy = matches!(words.reason_code, Disconnect::TooManyConnections);
                ended.sent_off = Some(words.message);
                Ok(())
            }
            DisconnectReason::Error(cause) => {
                self.ended().failed = Some(cause.to_string());
                Err(cause)
            }
        }
    }
}
