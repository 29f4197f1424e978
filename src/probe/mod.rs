//! Asks a Redis server, with its password, what it says of itself.
//!
//! One probe is one connection: it checks that a password is required, gives
//! the password, reads `ROLE` and `INFO`, and ends within its deadline. Where
//! connections come from is the caller's choice through [`Dial`]; what the
//! answers mean is the `redis` room's.

mod dial;
mod error;
mod role;
mod secret;

use std::time::Duration;

use ::redis::{AsyncConnectionConfig, RedisConnectionInfo, aio::MultiplexedConnection};

pub use dial::{Dial, DialError, Direct, Stream};
pub use error::{Loading, ProbeError};
pub use role::{Link, Replica, Role, RoleError};
pub use secret::Secret;

/// A server, as a dialer finds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodAddress {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// Its IP, when it has one; a port-forward needs none.
    pub ip: Option<std::net::IpAddr>,
    /// The server's port.
    pub port: u16,
}

impl std::fmt::Display for PodAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pod/{} in {}, port {}", self.pod, self.namespace, self.port)
    }
}

/// What to probe.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it is.
    pub address: PodAddress,
    /// The passwords it may want, the current one first. Empty when it must
    /// want none.
    pub passwords: Vec<Secret>,
}

/// What a server said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The text of `INFO`, every default section.
    pub info: String,
    /// The answer to `ROLE`.
    pub role: Role,
    /// Which of the target's passwords it took; `None` when it wants none.
    pub password: Option<usize>,
}

/// Asks one server once. Every error names the pod; none holds a password.
pub async fn probe(dial: &dyn Dial, target: &Target, deadline: Duration) -> Result<Answer, ProbeError> {
    let pod = &target.address;
    tokio::time::timeout(deadline, connect_and_ask(dial, target))
        .await
        .unwrap_or_else(|_elapsed| Err(ProbeError::Timeout { pod: pod.clone(), deadline }))
}

async fn connect_and_ask(dial: &dyn Dial, target: &Target) -> Result<Answer, ProbeError> {
    let pod = &target.address;
    let stream = dial.dial(pod).await.map_err(|source| ProbeError::Dial { pod: pod.clone(), source })?;
    // The crate would give the password unasked and hide how the server took it.
    let bare = RedisConnectionInfo::default().set_skip_set_lib_name();
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    let (mut connection, driver) = MultiplexedConnection::new_with_config(&bare, stream, patient)
        .await
        .map_err(|error| ProbeError::from_redis(pod, "connect", &error))?;
    tokio::select! {
        answer = ask(&mut connection, target) => answer,
        () = driver => Err(ProbeError::Closed { pod: pod.clone() }),
    }
}

async fn ask(connection: &mut MultiplexedConnection, target: &Target) -> Result<Answer, ProbeError> {
    let pod = &target.address;
    let password = authenticate(connection, target).await?;
    let role = query(connection, pod, "ROLE").await?;
    let role = Role::parse(&role).map_err(|source| ProbeError::Role { pod: pod.clone(), source })?;
    let info = query(connection, pod, "INFO").await?;
    let info = ::redis::from_redis_value(info).map_err(|error| ProbeError::Protocol {
        pod: pod.clone(),
        command: "INFO",
        message: error.to_string(),
    })?;
    let answer = Answer { info, role, password };
    match Loading::of(&answer.info) {
        Some(loading) => Err(ProbeError::Loading { pod: pod.clone(), loading, answer: Box::new(answer) }),
        None => Ok(answer),
    }
}

/// Finds out whether the server wants a password, and gives it. A server that
/// answers without one although one is stated is a finding, not a success.
async fn authenticate(connection: &mut MultiplexedConnection, target: &Target) -> Result<Option<usize>, ProbeError> {
    let pod = &target.address;
    match ::redis::cmd("PING").query_async::<::redis::Value>(connection).await {
        Err(error) if error.code() == Some("NOAUTH") => {}
        Err(error) if !serves_anyone(&error) => return Err(ProbeError::from_redis(pod, "PING", &error)),
        _ if target.passwords.is_empty() => return Ok(None),
        _ => return Err(ProbeError::NoPasswordRequired { pod: pod.clone() }),
    }
    for (index, password) in target.passwords.iter().enumerate() {
        match ::redis::cmd("AUTH").arg(password.expose()).query_async::<()>(connection).await {
            Ok(()) => return Ok(Some(index)),
            Err(error) if error.code() == Some("WRONGPASS") => {}
            Err(error) => return Err(ProbeError::from_redis(pod, "AUTH", &error)),
        }
    }
    Err(match target.passwords.len() {
        0 => ProbeError::PasswordUnknown { pod: pod.clone() },
        tried => ProbeError::WrongPassword { pod: pod.clone(), tried },
    })
}

/// Errors of a server that knows no password but is in a bad state: a password
/// is asked for before any of these.
fn serves_anyone(error: &::redis::RedisError) -> bool {
    matches!(error.code(), Some("LOADING" | "MASTERDOWN" | "MISCONF" | "BUSY"))
}

async fn query(
    connection: &mut MultiplexedConnection,
    pod: &PodAddress,
    name: &'static str,
) -> Result<::redis::Value, ProbeError> {
    ::redis::cmd(name).query_async(connection).await.map_err(|error| ProbeError::from_redis(pod, name, &error))
}
