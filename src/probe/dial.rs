//! Where connections come from.

use std::{io, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::PodAddress;

/// A connection to a server, whatever carries it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens connections to pods.
pub trait Dial: Send + Sync {
    /// Opens one connection to the pod's port.
    fn dial<'a>(&'a self, pod: &'a PodAddress) -> BoxFuture<'a, Result<Box<dyn Stream>, DialError>>;
}

/// No connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The pod has no IP yet.
    #[error("the pod has no IP address yet; it is not scheduled or its sandbox is not up")]
    NoAddress,
    /// Nothing listens there.
    #[error("connection refused: nothing listens on the port; see whether the container runs")]
    Refused,
    /// No answer in time.
    #[error("no answer within {0:?}; see whether a NetworkPolicy or the network between keeps the daemon out")]
    Timeout(Duration),
    /// The network said something else.
    #[error("the connection failed: {0}")]
    Io(#[source] io::Error),
    /// The API server did not forward the port.
    #[error("the port-forward failed: {0}; the daemon needs get and create on pods/portforward")]
    Forward(String),
}

/// Connects to the pod's IP. For a daemon inside the cluster's network.
#[derive(Clone, Copy, Debug)]
pub struct Direct {
    /// How long a connection may take.
    pub deadline: Duration,
}

impl Dial for Direct {
    fn dial<'a>(&'a self, pod: &'a PodAddress) -> BoxFuture<'a, Result<Box<dyn Stream>, DialError>> {
        async move {
            let ip = pod.ip.ok_or(DialError::NoAddress)?;
            match tokio::time::timeout(self.deadline, TcpStream::connect((ip, pod.port))).await {
                Ok(Ok(stream)) => Ok(Box::new(stream) as Box<dyn Stream>),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(DialError::Refused),
                Ok(Err(error)) => Err(DialError::Io(error)),
                Err(_elapsed) => Err(DialError::Timeout(self.deadline)),
            }
        }
        .boxed()
    }
}
