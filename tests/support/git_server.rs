//! A small HTTP server that hands requests to `git http-backend`, and can be
//! told to misbehave in one way at a time. It counts what it was asked.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// How the server answers.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// As Git does.
    Serve,
    /// Takes the request and never answers.
    Hang,
    /// Answers the first request of each connection, and closes it at the second.
    CloseAtSecond,
    /// Closes each connection at its first request.
    Close,
    /// Begins the pack, and never goes on.
    HangInPack,
    /// Ends the connection after so many bytes of the pack's answer, which it
    /// announced as longer.
    CutPack(usize),
    /// The same, for a server that announces no length.
    EndPack(usize),
    /// This status and an HTML body.
    Status(u16),
    /// 200 with a page, as a login portal does.
    Page,
    /// 302 of advertisements below the path `from` to the base `to`; all else is served.
    Redirect { from: &'static str, to: String },
}

/// A user name and a password.
pub type Login = (String, String);

struct State {
    root: PathBuf,
    behaviour: Mutex<Behaviour>,
    login: Mutex<Option<Login>>,
    bearer: Mutex<Option<String>>,
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    stop: AtomicBool,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// A running server; stops when dropped.
pub struct GitServer {
    state: Arc<State>,
    address: SocketAddr,
    accepting: Option<thread::JoinHandle<()>>,
}

impl GitServer {
    /// Serves the bare repositories in the folder `root`.
    pub fn start(root: &Path) -> Self {
        Self::with_tls(root, None)
    }

    /// The same, over TLS when there is a configuration for it.
    pub fn with_tls(root: &Path, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let state = Arc::new(State {
            root: root.to_owned(),
            behaviour: Mutex::new(Behaviour::Serve),
            login: Mutex::default(),
            bearer: Mutex::default(),
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            tls,
        });
        let shared = Arc::clone(&state);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else { continue };
                shared.connections.fetch_add(1, Ordering::SeqCst);
                // Header and body are two writes: without this the second waits for an acknowledgement.
                drop(stream.set_nodelay(true));
                // A client that goes away in the middle is part of what is tested.
                thread::spawn(move || drop(connection(stream, &shared)));
            }
        });
        Self { state, address, accepting: Some(accepting) }
    }

    /// The URL of the repository `name`.
    pub fn url(&self, name: &str) -> String {
        let scheme = if self.state.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/{name}", self.address)
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.state.behaviour.lock().expect("no panic") = behaviour;
    }

    pub fn require_login(&self, user: &str, password: &str) {
        *self.state.login.lock().expect("no panic") = Some((user.to_owned(), password.to_owned()));
    }

    pub fn require_bearer(&self, token: &str) {
        *self.state.bearer.lock().expect("no panic") = Some(token.to_owned());
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The request lines since the last call.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.requests.lock().expect("no panic"))
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn connection(stream: TcpStream, state: &State) -> io::Result<()> {
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(match &state.tls {
        None => Box::new(stream),
        Some(config) => {
            let session = rustls::ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            Box::new(rustls::StreamOwned::new(session, stream))
        }
    });
    let mut before = 0;
    while let Some(request) = Request::read(&mut stream)? {
        if state.stop.load(Ordering::SeqCst) {
            return Ok(());
        }
        state.requests.lock().expect("no panic").push(format!("{} {}", request.method, request.target));
        let stream = stream.get_mut().as_mut();
        let close = match *state.behaviour.lock().expect("no panic") {
            Behaviour::Close => true,
            Behaviour::CloseAtSecond => before > 0,
            _ => false,
        };
        if close || !answer(stream, state, &request)? {
            return Ok(());
        }
        before += 1;
    }
    Ok(())
}

struct Request {
    method: String,
    target: String,
    content_type: String,
    authorization: Option<String>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut parts = line.split_whitespace().map(str::to_owned);
        let (method, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let mut request = Self { method, target, content_type: String::new(), authorization: None, body: Vec::new() };
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            let value = value.trim().to_owned();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().map_err(io::Error::other)?,
                "content-type" => request.content_type = value,
                "authorization" => request.authorization = Some(value),
                _ => {}
            }
        }
        request.body.resize(length, 0);
        stream.read_exact(&mut request.body)?;
        Ok(Some(request))
    }

    fn is_pack(&self) -> bool {
        self.method == "POST"
    }
}

/// Answers one request; gives whether the connection goes on.
fn answer(stream: &mut dyn Stream, state: &State, request: &Request) -> io::Result<bool> {
    let behaviour = state.behaviour.lock().expect("no panic").clone();
    if !authorised(state, request) {
        return plain(stream, "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"", "no");
    }
    match behaviour {
        Behaviour::Hang => wait_for_the_end(stream),
        Behaviour::Status(status) => plain(stream, &format!("{status} Status"), "<html>"),
        Behaviour::Page => plain(stream, "200 OK\r\nContent-Type: text/html", "<html>please log in"),
        Behaviour::Redirect { from, to } if request.target.starts_with(from) => {
            let location = format!("302 Found\r\nLocation: {to}/info/refs?service=git-upload-pack");
            plain(stream, &location, "")
        }
        _ => {
            let (status, headers, body) = http_backend(&state.root, request)?;
            let cut = |bytes: usize| body.get(..bytes).unwrap_or(&body);
            match behaviour {
                Behaviour::CutPack(bytes) if request.is_pack() => {
                    write!(stream, "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len())?;
                    stream.write_all(cut(bytes))?;
                    stream.flush()?;
                    Ok(false)
                }
                Behaviour::EndPack(bytes) if request.is_pack() => {
                    write!(stream, "HTTP/1.1 200 OK\r\n{headers}Connection: close\r\n\r\n")?;
                    stream.write_all(cut(bytes))?;
                    stream.flush()?;
                    Ok(false)
                }
                Behaviour::HangInPack if request.is_pack() => {
                    write!(stream, "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len())?;
                    stream.write_all(cut(40))?;
                    stream.flush()?;
                    wait_for_the_end(stream)
                }
                _ => {
                    write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len())?;
                    stream.write_all(&body)?;
                    stream.flush()?;
                    Ok(true)
                }
            }
        }
    }
}

fn authorised(state: &State, request: &Request) -> bool {
    use base64::Engine;
    let login = state.login.lock().expect("no panic").clone();
    let basic = login.map(|(user, password)| {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
    });
    let bearer = state.bearer.lock().expect("no panic").clone().map(|token| format!("Bearer {token}"));
    basic.or(bearer).is_none_or(|expected| request.authorization.as_ref() == Some(&expected))
}

/// Blocks until the client has had enough.
fn wait_for_the_end(stream: &mut dyn Stream) -> io::Result<bool> {
    drop(stream.read(&mut [0]));
    Ok(false)
}

fn plain(stream: &mut dyn Stream, status: &str, body: &str) -> io::Result<bool> {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    stream.flush()?;
    Ok(true)
}

/// Runs Git's own server side; gives the status, the headers, each with its line end, and the body.
fn http_backend(root: &Path, request: &Request) -> io::Result<(String, String, Vec<u8>)> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut backend = git_command(root)
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", &request.content_type)
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    backend.stdin.take().ok_or_else(|| io::Error::other("no stdin"))?.write_all(&request.body)?;
    let output = backend.wait_with_output()?.stdout;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0);
    let headers = String::from_utf8_lossy(&output[..end]).into_owned() + "\r\n";
    let status = headers.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    Ok((status, headers, output.get(end + 4..).unwrap_or_default().to_vec()))
}

fn git_command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z");
    command
}

/// Runs git in `folder`; gives what it printed.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = git_command(folder).args(arguments).output().expect("git is installed");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A bare repository `repo.git` and a work tree that pushes to it.
pub struct Origin {
    folder: tempfile::TempDir,
}

impl Origin {
    /// With one commit on the branch `env/dev`.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        git(folder.path(), &["init", "-q", "--bare", "-b", "env/dev", "repo.git"]);
        git(folder.path(), &["init", "-q", "-b", "env/dev", "work"]);
        let origin = Self { folder };
        git(&origin.work(), &["remote", "add", "origin", "../repo.git"]);
        origin.commit("env/dev", &[("environments/dev/values.yaml", "replicaCount: 1\n")], "Begin with one replica");
        origin
    }

    /// The folder that holds the bare repository.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The bare repository.
    pub fn bare(&self) -> PathBuf {
        self.root().join("repo.git")
    }

    /// The work tree.
    pub fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    /// Writes `files`, commits them on `branch` and pushes by force; gives the commit.
    pub fn commit(&self, branch: &str, files: &[(&str, &str)], subject: &str) -> String {
        for (path, content) in files {
            let path = self.work().join(path);
            fs::create_dir_all(path.parent().expect("a path below the work tree")).expect("a folder");
            fs::write(path, content).expect("a file");
        }
        git(&self.work(), &["add", "-A"]);
        git(&self.work(), &["commit", "-q", "--allow-empty", "-m", subject]);
        self.push(branch)
    }

    /// Pushes what the work tree holds to `branch` by force; gives the commit.
    pub fn push(&self, branch: &str) -> String {
        git(&self.work(), &["push", "-q", "-f", "origin", &format!("HEAD:refs/heads/{branch}")]);
        git(&self.work(), &["rev-parse", "HEAD"])
    }
}
