//! The two requests of Git's smart HTTP protocol, within one deadline.
//!
//! Credentials go only to the host that the configuration names: a redirect is
//! followed when it stays there, or moves from http to https on the same host.
//! What the proxy variables of the process say is not used.

use std::{
    fs, io,
    io::Read,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use base64::Engine;
use http::{
    HeaderValue, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, LOCATION},
};
use ureq::{
    Agent, Body, Proxy, RequestBuilder,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider},
};

use super::{GitError, Operation, RemoteFailure};
use crate::repository::{Credentials, Repository};

const LIST: &str = "/info/refs?service=git-upload-pack";
const MAX_REDIRECTS: usize = 3;
const MIB: u64 = 1024 * 1024;
/// An advertisement of half a million branches and tags.
const MAX_LIST: u64 = 64 * MIB;
const MAX_PACK: u64 = 1024 * MIB;

/// The client of one repository; keeps connections open between polls.
pub(super) struct Client {
    /// With the content of the CA file it was built from.
    agent: Mutex<Option<(Option<Vec<u8>>, Agent)>>,
}

impl Client {
    pub fn new() -> Self {
        Self { agent: Mutex::new(None) }
    }

    /// Prepares the requests of one poll: reads the credentials anew, and the
    /// authorities, which rebuild the client when they changed.
    pub fn session(&self, repository: &Repository, url: &str, deadline: Instant) -> Result<Session, GitError> {
        let mut cached = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        let authorities = repository.ca_file.as_deref().map(|file| read("the CA file", file)).transpose()?;
        let agent = match &*cached {
            Some((built_from, agent)) if *built_from == authorities => agent.clone(),
            _ => {
                let agent = agent(repository, authorities.as_deref())?;
                *cached = Some((authorities, agent.clone()));
                agent
            }
        };
        let authorization = authorization(&repository.credentials)?;
        let timeout = repository.timeout;
        Ok(Session { agent, authorization, base: Mutex::new(url.to_owned()), deadline, timeout })
    }
}

fn agent(repository: &Repository, authorities: Option<&[u8]>) -> Result<Agent, GitError> {
    let roots = match (&repository.ca_file, authorities) {
        (Some(file), Some(pem)) => certificates(file, pem)?,
        _ => rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned())
            .collect(),
    };
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let proxy = repository.proxy.as_deref().map(|proxy| {
        Proxy::new(proxy).map_err(|_| GitError::Remote {
            operation: Operation::List,
            url: repository.url.clone(),
            failure: RemoteFailure::Unreachable(format!("the proxy {proxy} is not an http address")),
        })
    });
    let proxy = proxy.transpose()?;
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .tls_config(tls)
        // Some servers speak the smart protocol only to clients that begin so.
        .user_agent(concat!("git/2.0 (redis-gitops ", env!("CARGO_PKG_VERSION"), ")"));
    Ok(config.build().new_agent())
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<Certificate<'static>>, GitError> {
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(secret("the CA file", file, invalid("it is not PEM"))),
        }
    }
    if certificates.is_empty() {
        return Err(secret("the CA file", file, invalid("it holds no certificate in PEM form")));
    }
    Ok(certificates)
}

fn authorization(credentials: &Credentials) -> Result<Option<HeaderValue>, GitError> {
    let (text, what, file) = match credentials {
        Credentials::Anonymous => return Ok(None),
        Credentials::Basic { username_file, password_file } => {
            let username = line("the user name file", username_file)?;
            if username.contains(&b':') {
                return Err(secret("the user name file", username_file, invalid("a user name cannot hold a ':'")));
            }
            let pair = [username, b":".to_vec(), line("the password file", password_file)?].concat();
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            (format!("Basic {encoded}").into_bytes(), "the password file", password_file)
        }
        Credentials::Bearer { token_file } => {
            let token = line("the token file", token_file)?;
            ([b"Bearer ".to_vec(), token].concat(), "the token file", token_file)
        }
    };
    let mut value = HeaderValue::from_bytes(&text).map_err(|_| {
        secret(what, file, invalid("it holds characters that no header may hold, such as a line break"))
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The content of a credential file without the line break that editors add.
fn line(what: &'static str, file: &Path) -> Result<Vec<u8>, GitError> {
    let mut content = read(what, file)?;
    while content.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        content.pop();
    }
    if content.is_empty() { Err(secret(what, file, invalid("it is empty"))) } else { Ok(content) }
}

fn read(what: &'static str, file: &Path) -> Result<Vec<u8>, GitError> {
    fs::read(file).map_err(|cause| secret(what, file, cause))
}

fn secret(what: &'static str, file: &Path, cause: io::Error) -> GitError {
    GitError::Secret { what, file: file.to_owned(), cause }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The requests of one poll.
pub(super) struct Session {
    agent: Agent,
    authorization: Option<HeaderValue>,
    /// Where the repository is, after redirects.
    base: Mutex<String>,
    deadline: Instant,
    timeout: Duration,
}

impl Session {
    /// Asks for the advertisement of branches; gives its bytes.
    pub fn list(&self) -> Result<Answer, RemoteFailure> {
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..=MAX_REDIRECTS {
            let url = format!("{base}{LIST}");
            let response = self.send(|left| self.signed(self.agent.get(&url), left).call())?;
            if response.status().is_redirection() {
                *base = redirected(&base, response.headers().get(LOCATION))?;
                continue;
            }
            return self.answer(response, "application/x-git-upload-pack-advertisement", MAX_LIST);
        }
        Err(RemoteFailure::Protocol(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// Sends one step of the negotiation; gives the bytes of the answer.
    pub fn upload_pack(&self, body: &[u8]) -> Result<Answer, RemoteFailure> {
        let base = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let url = format!("{base}/git-upload-pack");
        let response = self.send(|left| {
            let request = self.agent.post(&url).header(CONTENT_TYPE, "application/x-git-upload-pack-request");
            self.signed(request, left).send(body)
        })?;
        self.answer(response, "application/x-git-upload-pack-result", MAX_PACK)
    }

    fn signed<B>(&self, mut request: RequestBuilder<B>, left: Duration) -> RequestBuilder<B> {
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request.config().timeout_global(Some(left)).build()
    }

    /// Sends a request, which changes nothing on the server; once more when
    /// the connection was closed, since it may have been kept for too long.
    fn send(
        &self,
        request: impl Fn(Duration) -> Result<http::Response<Body>, ureq::Error>,
    ) -> Result<http::Response<Body>, RemoteFailure> {
        match request(self.left()?) {
            Err(ureq::Error::Io(error)) if is_closed(&error) => {}
            answered => return answered.map_err(|error| self.failure(error)),
        }
        request(self.left()?).map_err(|error| match error {
            ureq::Error::Io(error) if is_closed(&error) => {
                RemoteFailure::Unreachable("the server closed the connection without an answer".to_owned())
            }
            other => self.failure(other),
        })
    }

    fn left(&self) -> Result<Duration, RemoteFailure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.late()) } else { Ok(left) }
    }

    fn late(&self) -> RemoteFailure {
        RemoteFailure::Timeout { seconds: self.timeout.as_secs() }
    }

    fn answer(&self, response: http::Response<Body>, expected: &str, limit: u64) -> Result<Answer, RemoteFailure> {
        let status = response.status();
        match status.as_u16() {
            200 => {}
            401 | 403 => return Err(RemoteFailure::Authentication { status: status.as_u16() }),
            404 | 410 => return Err(RemoteFailure::NotFound),
            429 | 500..=599 => return Err(RemoteFailure::Server { status: status.as_u16() }),
            other => return Err(RemoteFailure::Protocol(format!("HTTP {other}"))),
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
        if kind != expected {
            return Err(RemoteFailure::Protocol(format!("its content type is {kind}, not {expected}")));
        }
        // One more than the limit, so that reaching it shows.
        let reader = response.into_body().into_with_config().limit(u64::MAX).reader().take(limit + 1);
        Ok(Answer { reader: Box::new(reader), left: limit, limit })
    }

    /// What an error of the HTTP client means.
    pub fn failure(&self, error: ureq::Error) -> RemoteFailure {
        match error {
            ureq::Error::Timeout(_) => self.late(),
            ureq::Error::HostNotFound => RemoteFailure::Unreachable("the host name is unknown".to_owned()),
            ureq::Error::ConnectionFailed => RemoteFailure::Unreachable("the connection failed".to_owned()),
            ureq::Error::ConnectProxyFailed(why) => RemoteFailure::Unreachable(format!("the proxy refused: {why}")),
            ureq::Error::Rustls(error) => RemoteFailure::Tls(error.to_string()),
            ureq::Error::Tls(why) => RemoteFailure::Tls(why.to_owned()),
            ureq::Error::Io(error) => io_failure(&error),
            other => RemoteFailure::Protocol(other.to_string()),
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn io_failure(error: &io::Error) -> RemoteFailure {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return RemoteFailure::Tls(tls.to_string());
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => RemoteFailure::Protocol("it ended before it was complete".to_owned()),
        _ => RemoteFailure::Unreachable(error.to_string()),
    }
}

/// Where a redirect leads, if it may be followed.
fn redirected(base: &str, location: Option<&HeaderValue>) -> Result<String, RemoteFailure> {
    let location = location.and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Only scheme and host are shown: the rest may hold a token.
    let target: Uri = location.parse().unwrap_or_default();
    let refused = || {
        let scheme = target.scheme_str().unwrap_or("an address");
        RemoteFailure::Redirect(format!("{scheme}://{}", target.host().unwrap_or("without a host")))
    };
    let from: Uri = base.parse().map_err(|_| refused())?;
    let (from_authority, from_scheme) = (from.authority().map(|a| a.as_str()), from.scheme_str());
    let absolute = match target.authority() {
        None if location.starts_with('/') && !location.starts_with("//") => {
            format!("{}://{}{location}", from_scheme.unwrap_or_default(), from_authority.unwrap_or_default())
        }
        Some(authority) if !authority.as_str().contains('@') => {
            let same = target.scheme() == from.scheme() && Some(authority.as_str()) == from_authority;
            let upgraded = from_scheme == Some("http")
                && target.scheme_str() == Some("https")
                && target.host().is_some_and(|host| Some(host) == from.host());
            if !same && !upgraded {
                return Err(refused());
            }
            location.to_owned()
        }
        _ => return Err(refused()),
    };
    absolute.strip_suffix(LIST).map(str::to_owned).ok_or_else(refused)
}

/// The bytes of an answer, no more than the limit.
pub(super) struct Answer {
    reader: Box<dyn Read + Send>,
    left: u64,
    limit: u64,
}

impl Answer {
    pub fn read(&mut self, session: &Session, buffer: &mut [u8]) -> Result<usize, RemoteFailure> {
        let count = self.reader.read(buffer).map_err(|error| session.failure(ureq::Error::from(error)))?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(RemoteFailure::TooLarge { limit: self.limit / MIB }),
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_with_the_host() {
        let follow = |base: &str, to: &str| redirected(base, Some(&HeaderValue::from_str(to).expect("a header")));
        let good = [
            ("http://h/x", "http://h/y/info/refs?service=git-upload-pack", "http://h/y"),
            ("http://h:80/x", "https://h/x.git/info/refs?service=git-upload-pack", "https://h/x.git"),
            ("https://h/x", "/z/info/refs?service=git-upload-pack", "https://h/z"),
        ];
        for (base, to, expected) in good {
            assert_eq!(follow(base, to).expect(to), expected);
        }
        let bad = [
            ("https://h/x", "http://h/x/info/refs?service=git-upload-pack"),
            ("https://h/x", "https://other/x/info/refs?service=git-upload-pack"),
            ("http://h:1/x", "http://h:2/x/info/refs?service=git-upload-pack"),
            ("https://h/x", "https://user:hunter2@h/x/info/refs?service=git-upload-pack"),
            ("https://h/x", "https://h/login"),
            ("https://h/x", "//other/x/info/refs?service=git-upload-pack"),
            ("https://h/x", ""),
        ];
        for (base, to) in bad {
            let failure = follow(base, to).expect_err(to);
            assert!(matches!(failure, RemoteFailure::Redirect(_)), "{to}");
            assert!(!failure.to_string().contains("hunter2"));
        }
    }
    #[test]
    fn an_answer_beyond_its_limit_is_refused() {
        let session = Session {
            agent: Agent::new_with_defaults(),
            authorization: None,
            base: Mutex::default(),
            deadline: Instant::now(),
            timeout: Duration::ZERO,
        };
        let read = |bytes: usize| {
            let mut answer = Answer { reader: Box::new(io::repeat(0).take(bytes as u64)), left: MIB, limit: MIB };
            let mut buffer = vec![0; 64 * 1024];
            loop {
                match answer.read(&session, &mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(failure) => return Err(failure),
                }
            }
        };
        assert_eq!(read(1024 * 1024), Ok(()));
        assert_eq!(read(1024 * 1024 + 1), Err(RemoteFailure::TooLarge { limit: 1 }));
    }
}
