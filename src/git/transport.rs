//! Puts our HTTP below libgit2, whose own has process-wide settings and no
//! deadline for the look-up of names.
//!
//! libgit2 knows transports by URL scheme and for the whole process, so one
//! private scheme is registered, once, and each operation brings its own
//! exchange: libgit2 makes the transport on the thread that asks for it.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use git2::{
    ConfigLevel, ErrorClass, ErrorCode,
    transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport},
};

use super::{
    Operation, RemoteFailure,
    http::{Answer, Session},
};

const SCHEME: &str = "redis-gitops";
/// What libgit2 is told instead of the repository's URL.
pub(super) const URL: &str = "redis-gitops://mirror";
/// libgit2's cache of objects, by default 256 MB; blobs are cached by the mirror.
const OBJECT_CACHE_BYTES: isize = 8 * 1024 * 1024;

/// One poll as the transport sees it: what to ask, until when, and what went wrong.
pub(super) struct Exchange {
    /// None for a repository on this machine.
    pub session: Option<Session>,
    pub deadline: Instant,
    pub timeout: Duration,
    pub cancelled: Arc<AtomicBool>,
    operation: Mutex<Operation>,
    /// libgit2 carries only text, so the cause waits here.
    failure: Mutex<Option<RemoteFailure>>,
}

impl Exchange {
    pub fn new(session: Option<Session>, deadline: Instant, timeout: Duration, cancelled: Arc<AtomicBool>) -> Self {
        let (operation, failure) = (Mutex::new(Operation::List), Mutex::new(None));
        Self { session, deadline, timeout, cancelled, operation, failure }
    }

    /// Why this must stop now, if it must.
    pub fn stopped(&self) -> Option<RemoteFailure> {
        if self.cancelled.load(Ordering::Relaxed) {
            Some(RemoteFailure::Cancelled)
        } else if Instant::now() >= self.deadline {
            Some(RemoteFailure::Timeout { seconds: self.timeout.as_secs() })
        } else {
            None
        }
    }

    pub fn operation(&self) -> Operation {
        *self.operation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn begin(&self, operation: Operation) {
        *self.operation.lock().unwrap_or_else(PoisonError::into_inner) = operation;
    }

    /// The cause of the error that libgit2 reported, when it came from here.
    pub fn failure(&self) -> Option<RemoteFailure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().or_else(|| self.stopped())
    }

    fn fail(&self, failure: RemoteFailure) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// Runs `work` with this exchange below every transport that it makes.
    pub fn during<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        struct Reset;
        impl Drop for Reset {
            fn drop(&mut self) {
                CURRENT.set(None);
            }
        }
        CURRENT.set(Some(Arc::clone(self)));
        let _reset = Reset;
        work()
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Exchange>>> = const { RefCell::new(None) };
}

/// Sets libgit2 up, once in the life of the process. Called before anything else
/// of libgit2.
pub(super) fn initialise() -> Result<(), String> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| set_up().map_err(|error| error.message().to_owned())).clone()
}

#[allow(unsafe_code)]
fn set_up() -> Result<(), git2::Error> {
    // SAFETY: each of these writes settings that libgit2 reads without a lock.
    // They are called under the OnceLock of `initialise`, which every user of
    // libgit2 in this process passes before its first call, so no other thread
    // is inside libgit2 yet.
    unsafe {
        // What a mirror does must not depend on the gitconfig of the host.
        for level in [ConfigLevel::System, ConfigLevel::Global, ConfigLevel::XDG, ConfigLevel::ProgramData] {
            git2::opts::set_search_path(level, "")?;
        }
        // A volume often belongs to another user than the container's; no hook
        // or program of a repository is ever run.
        git2::opts::set_verify_owner_validation(false)?;
        git2::opts::set_cache_max_size(OBJECT_CACHE_BYTES)?;
        git2::transport::register(SCHEME, |remote| {
            let missing = || git2::Error::new(ErrorCode::Invalid, ErrorClass::Net, "no exchange is under way");
            let exchange = CURRENT.with_borrow(Clone::clone).ok_or_else(missing)?;
            Transport::smart(remote, true, Http { exchange })
        })
    }
}

struct Http {
    exchange: Arc<Exchange>,
}

impl SmartSubtransport for Http {
    fn action(&self, _: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let body = match service {
            Service::UploadPackLs => None,
            Service::UploadPack => Some(Vec::new()),
            Service::ReceivePackLs | Service::ReceivePack => {
                return Err(git2::Error::new(ErrorCode::Invalid, ErrorClass::Net, "a mirror is never pushed from"));
            }
        };
        Ok(Box::new(Stream { exchange: Arc::clone(&self.exchange), body, answer: None }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request, sent when its answer is first read.
struct Stream {
    exchange: Arc<Exchange>,
    /// None for the advertisement.
    body: Option<Vec<u8>>,
    answer: Option<Answer>,
}

impl Stream {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, RemoteFailure> {
        if let Some(failure) = self.exchange.stopped() {
            return Err(failure);
        }
        let Some(session) = &self.exchange.session else {
            return Err(RemoteFailure::Protocol("it was asked over HTTP for a local repository".to_owned()));
        };
        let answer = match &mut self.answer {
            Some(answer) => answer,
            None => self.answer.insert(match &self.body {
                None => session.list()?,
                Some(body) => session.upload_pack(body)?,
            }),
        };
        answer.read(session, buffer)
    }
}

/// libgit2 stops at the last packet that means something to it. The connection
/// is kept for the next request only when its answer was read to the end.
impl Drop for Stream {
    fn drop(&mut self) {
        if self.answer.is_some() {
            let _ = self.fill(&mut [0; 1]);
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill(buffer).map_err(|failure| {
            let text = failure.to_string();
            self.exchange.fail(failure);
            io::Error::other(text)
        })
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.body.get_or_insert_default().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
