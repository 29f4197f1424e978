//! The repository that the environments' branches live in, and how to reach it.
//!
//! A URL holds no credentials: they come from files, so that neither a log line
//! nor an error can show them.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Serialize, Serializer};

/// Where a repository is. Never contains a user name or a password.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RepositoryUrl {
    /// `http://` or `https://`, without a `/` at the end.
    Http(String),
    /// A folder of this machine; from `file://` or an absolute path.
    Path(PathBuf),
}

/// The text names no repository that can be read. The text is not repeated,
/// since it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// There is a user name or password before an `@`.
    #[error("the URL holds a user name or password")]
    Credentials,
    /// ssh, git, or the scp form.
    #[error("the URL is of a kind that is not supported (http, https and file are)")]
    Scheme,
    /// No host, or a query or fragment that no repository has.
    #[error("the URL is not of the form https://HOST/PATH")]
    Form,
    /// A relative path.
    #[error("a local repository needs an absolute path")]
    Relative,
}

impl InvalidUrl {
    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Credentials => "move them to files, and name those under repository.credentials",
            Self::Scheme => "use the repository's https address",
            Self::Form => "write it as in https://git.example/team/repository.git",
            Self::Relative => "write the path from the root, as in /srv/repository.git",
        }
    }
}

impl std::str::FromStr for RepositoryUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("http://") || lower.starts_with("https://") {
            return http_url(text);
        }
        if let Some(path) = text.strip_prefix("file://") {
            return absolute(path.strip_prefix("localhost").unwrap_or(path));
        }
        if text.contains("://") || (text.contains(':') && !text.starts_with('/')) {
            return Err(InvalidUrl::Scheme);
        }
        absolute(text)
    }
}

fn absolute(path: &str) -> Result<RepositoryUrl, InvalidUrl> {
    if path.starts_with('/') { Ok(RepositoryUrl::Path(PathBuf::from(path))) } else { Err(InvalidUrl::Relative) }
}

fn http_url(text: &str) -> Result<RepositoryUrl, InvalidUrl> {
    let uri: http::Uri = text.trim_end_matches('/').parse().map_err(|_| InvalidUrl::Form)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(InvalidUrl::Form);
    };
    if authority.as_str().contains('@') {
        return Err(InvalidUrl::Credentials);
    }
    if authority.host().is_empty() || uri.query().is_some() || text.contains('#') {
        return Err(InvalidUrl::Form);
    }
    let path = uri.path().trim_end_matches('/');
    Ok(RepositoryUrl::Http(format!("{}://{}{path}", scheme.to_ascii_lowercase(), authority.as_str().to_lowercase())))
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.write_str(url),
            Self::Path(path) => write!(f, "file://{}", path.display()),
        }
    }
}

impl Serialize for RepositoryUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What proves to the server that we may read. Only file names are held; the
/// files are read for each request, so a rotated secret needs no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// None: the repository is public or local.
    Anonymous,
    /// HTTP basic authentication.
    Basic {
        /// The file with the user name.
        username_file: PathBuf,
        /// The file with the password or access token.
        password_file: PathBuf,
    },
    /// `Authorization: Bearer`.
    Bearer {
        /// The file with the token.
        token_file: PathBuf,
    },
}

/// A repository and how to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Where it is.
    pub url: RepositoryUrl,
    /// The time between two polls; the caller spreads it by ± 10 %.
    pub interval: Duration,
    /// The deadline of one poll: name resolution, connection, and all bytes.
    pub timeout: Duration,
    /// A PEM file of the authorities that may vouch for the server, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// An http proxy, as in `http://proxy:3128`. The environment's proxy variables are not read.
    pub proxy: Option<String>,
    /// How to authenticate.
    pub credentials: Credentials,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_normalised_and_never_hold_credentials() {
        let good = [
            ("https://Example.org/a/b.git/", "https://example.org/a/b.git"),
            ("HTTP://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
            ("file:///srv/repo.git", "file:///srv/repo.git"),
            ("/srv/repo.git", "file:///srv/repo.git"),
        ];
        for (text, expected) in good {
            assert_eq!(text.parse::<RepositoryUrl>().expect(text).to_string(), expected);
        }
        let bad = [
            ("https://user:hunter2@example.org/x", InvalidUrl::Credentials),
            ("git@example.org:x/y.git", InvalidUrl::Scheme),
            ("ssh://git@example.org/x", InvalidUrl::Scheme),
            ("https:///x", InvalidUrl::Form),
            ("https://example.org/x?y", InvalidUrl::Form),
            ("repo.git", InvalidUrl::Relative),
        ];
        for (text, expected) in bad {
            let error = text.parse::<RepositoryUrl>().expect_err(text);
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
