//! Why a server gave no usable answer. No variant holds a password, and the
//! server's words on `AUTH` are not repeated.

use std::{fmt, time::Duration};

use ::redis::RedisError;

use super::{Answer, PodAddress, dial::DialError, role::RoleError};

/// A probe that failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No connection.
    #[error("{pod}: {source}")]
    Dial {
        /// The server.
        pod: PodAddress,
        /// Why.
        source: DialError,
    },
    /// No whole answer in time.
    #[error("{pod}: Redis gave no whole answer within {deadline:?}; it is stopped, overloaded or runs a slow script")]
    Timeout {
        /// The server.
        pod: PodAddress,
        /// The deadline.
        deadline: Duration,
    },
    /// The server ended the connection.
    #[error("{pod}: the server closed the connection; it is stopping, at its client limit, or no Redis")]
    Closed {
        /// The server.
        pod: PodAddress,
    },
    /// It takes none of the passwords.
    #[error(
        "{pod}: Redis takes none of the {tried} known password(s); the Secret and the running server disagree, \
         so restart the pod or bring the password back"
    )]
    WrongPassword {
        /// The server.
        pod: PodAddress,
        /// How many were tried.
        tried: usize,
    },
    /// It wants a password and none is known.
    #[error("{pod}: Redis wants a password and none is known; see whether its Secret exists and has the key")]
    PasswordUnknown {
        /// The server.
        pod: PodAddress,
    },
    /// It answers anyone, although a password is stated.
    #[error("{pod}: Redis answers without a password, although one is stated; anyone in reach can read and write")]
    NoPasswordRequired {
        /// The server.
        pod: PodAddress,
    },
    /// It reads its data from disk and serves nobody yet.
    #[error("{pod}: Redis is still {loading}")]
    Loading {
        /// The server.
        pod: PodAddress,
        /// How far.
        loading: Loading,
        /// What it said all the same; `INFO` and `ROLE` work while loading.
        answer: Box<Answer>,
    },
    /// It answered with an error or something unexpected.
    #[error("{pod}: {command} was answered with {message:?}")]
    Protocol {
        /// The server.
        pod: PodAddress,
        /// The command.
        command: &'static str,
        /// The server's words.
        message: String,
    },
    /// The answer to `ROLE` cannot be read.
    #[error("{pod}: {source}")]
    Role {
        /// The server.
        pod: PodAddress,
        /// Why.
        source: RoleError,
    },
}

impl ProbeError {
    /// What failed, in our terms. For `AUTH` the server's words are left out.
    pub(super) fn from_redis(pod: &PodAddress, command: &'static str, error: &RedisError) -> Self {
        let pod = pod.clone();
        if error.is_io_error() {
            return Self::Closed { pod };
        }
        let words = match (command, error.code()) {
            ("AUTH", code) => code.unwrap_or("an error").to_owned(),
            (_, Some(code)) => format!("{code} {}", error.detail().unwrap_or_default()),
            (_, None) => error.to_string(),
        };
        Self::Protocol { pod, command, message: words }
    }
}

/// How far a server has read its data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loading {
    /// Per cent read, when the server knows.
    pub percent: Option<f64>,
    /// Seconds left, as the server guesses.
    pub seconds_left: Option<f64>,
}

impl Loading {
    /// Reads it from `INFO`; `None` when the server has loaded.
    pub(super) fn of(info: &str) -> Option<Self> {
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim())
        };
        let number = |name| field(name).and_then(|value| value.parse().ok());
        (field("loading") == Some("1"))
            .then(|| Self { percent: number("loading_loaded_perc"), seconds_left: number("loading_eta_seconds") })
    }
}

impl fmt::Display for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("loading its data")?;
        if let Some(percent) = self.percent {
            write!(f, ", {percent:.0} % done")?;
        }
        if let Some(seconds) = self.seconds_left {
            write!(f, ", about {seconds:.0} s to go")?;
        }
        Ok(())
    }
}
