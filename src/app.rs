//! The daemon: the only place that constructs things and supervises tasks.
//!
//! A task that panics is logged and started again; one that does nothing else is
//! given up, and `/healthz` says so. A listener that fails ends the process. A
//! changed configuration restarts exactly the loops it concerns.

mod task;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::task::{Life, Task};
use crate::{
    cluster::{Cluster, Connection},
    config::{self, Config, ConfigError, Connect, WatchError},
    environment::{BranchName, Environment},
    git::{GitError, Mirror},
    http::{self, HttpState, ProcessState},
    plan::ENVIRONMENT_LABEL,
    probe::{Dial, DialError, Direct, PodAddress, Stream},
    reconcile::{Board, EnvironmentLoop, Prober, RepositoryLoop, Shared, TipMap, Watches},
    repository::Repository,
    status::SyncState,
    telemetry::Metrics,
};

/// The pause between two attempts to reach the API server at the start.
const PAUSE: Duration = Duration::from_secs(1);
/// The deadline of one connection to a pod.
const DIAL: Duration = Duration::from_secs(3);

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It cannot be watched.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {cause}; change `listen` in the configuration, or stop what uses the port")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The mirror.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The HTTP server ended.
    #[error("the HTTP server ended: {0}")]
    Http(std::io::Error),
}

/// Runs the daemon on the configuration at `file` until `shutdown` is cancelled;
/// then finishes the write in hand. `nudge` asks all loops to look at once.
pub async fn run(file: &Path, shutdown: CancellationToken, nudge: Arc<Notify>) -> Result<(), AppError> {
    let config = Config::load(file)?;
    let listener =
        TcpListener::bind(config.listen).await.map_err(|cause| AppError::Listen { address: config.listen, cause })?;
    let address = listener.local_addr().unwrap_or(config.listen);
    let mut watched = config::Watch::start(file, config)?;
    let parts = Parts::new(shutdown.clone());
    parts.board.configuration(|configuration| configuration.loaded = Some(Timestamp::now()));
    info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    let mut server = tokio::spawn(http::serve(listener, parts.http(), shutdown.clone().cancelled_owned()));

    let daemon = async {
        let config = watched.config.borrow_and_update().clone();
        let Some(cluster) = parts.connect(&config).await else { return Ok::<(), AppError>(()) };
        let mut running = Running::start(&parts, cluster, &config).await?;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = nudge.notified() => parts.steering.nudge_all(),
                changed = watched.config.changed() => if changed.is_err() { break } else {
                    let config = watched.config.borrow_and_update().clone();
                    running.reconfigure(&parts, &config).await?;
                },
                changed = watched.reload.changed() => if changed.is_err() { break } else {
                    let reload = watched.reload.borrow_and_update().clone();
                    parts.note_reload(&reload);
                },
            }
        }
        running.stop().await;
        Ok(())
    };
    tokio::select! {
        outcome = daemon => outcome?,
        ended = &mut server => return match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(cause)) => Err(AppError::Http(cause)),
            Err(panic) => Err(AppError::Http(std::io::Error::other(panic))),
        },
    }
    shutdown.cancel();
    // The server drains by itself; whatever it says now, the daemon's work is done.
    let _drained = server.await;
    info!("stopped");
    Ok(())
}

/// What lives as long as the process.
struct Parts {
    board: Board,
    metrics: Metrics,
    process: watch::Sender<ProcessState>,
    steering: Arc<Steering>,
    shutdown: CancellationToken,
}

/// Who is woken by a nudge.
#[derive(Default)]
struct Steering {
    repository: Arc<Notify>,
    environments: Mutex<BTreeMap<String, Arc<Notify>>>,
}

impl Steering {
    fn nudge_all(&self) {
        http::Nudge::nudge(self, None);
    }

    fn environments(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Notify>>> {
        self.environments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http::Nudge for Steering {
    fn nudge(&self, environment: Option<&str>) {
        self.repository.notify_one();
        for (name, wake) in self.environments().iter() {
            if environment.is_none_or(|wanted| wanted == name) {
                wake.notify_one();
            }
        }
    }
}

impl Parts {
    fn new(shutdown: CancellationToken) -> Self {
        Self {
            board: Board::default(),
            metrics: Metrics::new(),
            process: watch::Sender::new(ProcessState { leader: true, ..ProcessState::default() }),
            steering: Arc::default(),
            shutdown,
        }
    }

    fn life(&self) -> Life {
        Life { shutdown: self.shutdown.clone(), process: self.process.clone() }
    }

    fn http(&self) -> HttpState {
        HttpState {
            status: self.board.subscribe(),
            process: self.process.subscribe(),
            metrics: self.metrics.clone(),
            nudge: Arc::clone(&self.steering) as Arc<dyn http::Nudge>,
        }
    }

    /// Connects to the API server, however long it takes; `None` when the process ends first.
    async fn connect(&self, config: &Config) -> Option<Cluster> {
        let connection =
            Connection { kubeconfig: config.kubernetes.kubeconfig.clone(), context: config.kubernetes.context.clone() };
        let mut told = String::new();
        loop {
            // The name is known only once connected; until then nothing is counted.
            let name: Arc<std::sync::OnceLock<String>> = Arc::default();
            let (metrics, counted) = (self.metrics.clone(), Arc::clone(&name));
            let observer = Arc::new(move |verb, code| {
                if let Some(cluster) = counted.get() {
                    metrics.kubernetes_request(cluster, verb, code);
                }
            });
            match Cluster::connect(&connection, observer).await {
                Ok(cluster) => {
                    self.metrics.set_clusters([cluster.address()]);
                    let _first = name.set(cluster.address().to_owned());
                    return Some(cluster);
                }
                Err(problem) => {
                    let problem = problem.to_string();
                    if told != problem {
                        warn!(reason = %problem, "the API server cannot be reached; it is tried again every second");
                        told = problem;
                    }
                }
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    fn note_reload(&self, reload: &config::Reload) {
        match &reload.rejected {
            Some(rejected) => error!(reason = %rejected, "the changed configuration is not used; the one before stays"),
            None => info!("configuration read again"),
        }
        for key in &reload.needs_restart {
            warn!(key, "the new value takes effect with a restart");
        }
        let error = reload.rejected.as_ref().map(ToString::to_string);
        self.board.configuration(|configuration| {
            if error.is_none() {
                configuration.loaded = Some(Timestamp::now());
            }
            configuration.error = error;
        });
    }
}

/// What runs for the present configuration.
struct Running {
    cluster: Cluster,
    watches: Watches,
    mirror: Mirror,
    tips: Arc<watch::Sender<TipMap>>,
    repository: Task,
    branches: BTreeSet<BranchName>,
    environments: BTreeMap<String, EnvironmentTasks>,
    readiness: Task,
    probe: config::Probe,
}

/// One environment's tasks, with what they were started for.
struct EnvironmentTasks {
    environment: Environment,
    reconciler: Task,
    prober: Task,
}

impl Running {
    async fn start(parts: &Parts, cluster: Cluster, config: &Config) -> Result<Self, AppError> {
        let watches = Watches::new(cluster.clone(), config.kubernetes.scope);
        let mirror = Mirror::open(config.repository.clone(), &config.data_dir).await?;
        let tips = Arc::new(watch::Sender::new(TipMap::default()));
        let branches = branches(config);
        parts.announce(config);
        let repository = follow(parts, &mirror, &branches, &tips);
        let mut running = Self {
            cluster,
            watches,
            mirror,
            tips,
            repository,
            branches,
            environments: BTreeMap::new(),
            readiness: watch_first_pass(parts, config),
            probe: config.probe,
        };
        for environment in &config.environments {
            running.begin(parts, environment);
        }
        Ok(running)
    }

    /// Restarts what the new configuration changes, and nothing else.
    async fn reconfigure(&mut self, parts: &Parts, config: &Config) -> Result<(), AppError> {
        parts.announce(config);
        let wanted = branches(config);
        let same_repository = *self.mirror.repository() == config.repository;
        let same_url = self.mirror.repository().url == config.repository.url;
        let everything = !same_url || self.probe != config.probe;
        let changed = self.environments.extract_if(.., |name, tasks| {
            let kept = config.environments.iter().find(|e| e.name.as_str() == name);
            everything || kept != Some(&tasks.environment)
        });
        let changed: Vec<(String, EnvironmentTasks)> = changed.collect();
        let watches = &self.watches;
        futures::future::join_all(changed.into_iter().map(|(name, tasks)| {
            let kept = config.environments.iter().find(|e| e.name.as_str() == name);
            cease(parts, watches, tasks, kept)
        }))
        .await;
        // What has just ended may have written to the board.
        parts.announce(config);
        if !same_repository || wanted != self.branches {
            let ended = std::mem::replace(
                &mut self.repository,
                Task::supervise(String::new(), &parts.life(), |_| async {}.boxed()),
            );
            ended.end().await;
            self.mirror = match self.mirror.reconfigured(config.repository.clone()) {
                Some(mirror) => mirror,
                None => self.open_other(&config.repository, &config.data_dir).await?,
            };
            self.repository = follow(parts, &self.mirror, &wanted, &self.tips);
            self.branches = wanted;
        }
        self.probe = config.probe;
        for environment in &config.environments {
            if !self.environments.contains_key(environment.name.as_str()) {
                self.begin(parts, environment);
            }
        }
        Ok(())
    }

    async fn open_other(&self, repository: &Repository, data_dir: &Path) -> Result<Mirror, AppError> {
        self.tips.send_replace(TipMap::default());
        Ok(Mirror::open(repository.clone(), data_dir).await?)
    }

    fn begin(&mut self, parts: &Parts, environment: &Environment) {
        let name = environment.name.to_string();
        let wake = Arc::new(Notify::new());
        parts.steering.environments().insert(name.clone(), Arc::clone(&wake));
        let uids = Arc::new(watch::Sender::new(BTreeSet::new()));
        let reconciler = self.reconciler(parts, environment, &wake, &uids);
        let prober = self.prober(parts, environment, &uids);
        self.environments.insert(name, EnvironmentTasks { environment: environment.clone(), reconciler, prober });
    }

    fn reconciler(
        &self,
        parts: &Parts,
        environment: &Environment,
        wake: &Arc<Notify>,
        uids: &Arc<watch::Sender<BTreeSet<String>>>,
    ) -> Task {
        let (cluster, watches, mirror) = (self.cluster.clone(), self.watches.clone(), self.mirror.clone());
        let (tips, board, metrics) = (Arc::clone(&self.tips), parts.board.clone(), parts.metrics.clone());
        let (environment, wake, uids) = (environment.clone(), Arc::clone(wake), Arc::clone(uids));
        Task::supervise(format!("reconcile {}", environment.name), &parts.life(), move |shutdown| {
            let shared = Shared {
                cluster: cluster.clone(),
                watches: watches.clone(),
                mirror: mirror.clone(),
                tips: tips.subscribe(),
                board: board.clone(),
                metrics: metrics.clone(),
                shutdown,
            };
            EnvironmentLoop::new(environment.clone(), shared, Arc::clone(&wake), Arc::clone(&uids)).run().boxed()
        })
    }

    fn prober(&self, parts: &Parts, environment: &Environment, uids: &Arc<watch::Sender<BTreeSet<String>>>) -> Task {
        let (cluster, watches, board) = (self.cluster.clone(), self.watches.clone(), parts.board.clone());
        let (name, namespace) = (environment.name.to_string(), environment.namespace.to_string());
        let (interval, uids) = (self.probe.interval, Arc::clone(uids));
        let dial: Arc<dyn Dial> = match self.probe.connect {
            Connect::Direct => Arc::new(Direct { deadline: DIAL }),
            Connect::PortForward => Arc::new(Forward(self.cluster.clone())),
        };
        Task::supervise(format!("probe {name}"), &parts.life(), move |shutdown| {
            let prober = Prober {
                environment: name.clone(),
                namespace: namespace.clone(),
                cluster: cluster.clone(),
                watches: watches.clone(),
                dial: Arc::clone(&dial),
                interval,
                board: board.clone(),
                uids: uids.subscribe(),
                shutdown,
            };
            prober.run().boxed()
        })
    }

    async fn stop(self) {
        let tasks = self.environments.into_values().flat_map(|tasks| [tasks.reconciler, tasks.prober]);
        let all = tasks.chain([self.repository, self.readiness]).map(Task::end);
        futures::future::join_all(all).await;
    }
}

/// Ends an environment's tasks. What it applied stays. `returns` is the same
/// environment in the new configuration.
async fn cease(parts: &Parts, watches: &Watches, tasks: EnvironmentTasks, returns: Option<&Environment>) {
    let EnvironmentTasks { environment, reconciler, prober } = tasks;
    let name = environment.name.as_str();
    futures::future::join(reconciler.end(), prober.end()).await;
    watches.unregister(name);
    parts.steering.environments().remove(name);
    let place = |environment: &Environment| (environment.namespace.clone(), environment.release.clone());
    if returns.map(place) == Some(place(&environment)) {
        return;
    }
    // Nothing that was found there says anything about another place.
    parts.board.remove_environment(name);
    let Environment { namespace, release, .. } = &environment;
    warn!(
        environment = name, %namespace, %release,
        "it is not managed there any more; what runs is left alone. Put the configuration back to manage it again, or delete it by hand: kubectl -n {namespace} delete all,configmap,secret -l {ENVIRONMENT_LABEL}={name}, and its claims once nothing needs their data"
    );
}

impl Parts {
    /// Tells metrics and status what exists.
    fn announce(&self, config: &Config) {
        let url = config.repository.url.to_string();
        self.metrics.set_environments(config.environments.iter().map(|e| e.name.as_str()));
        self.metrics.set_repositories([url.as_str()]);
        for environment in &config.environments {
            self.board.describe(environment);
        }
        self.board.only_repository(&url);
        self.board.repository(&url, |_| {});
    }
}

fn branches(config: &Config) -> BTreeSet<BranchName> {
    config.environments.iter().map(|environment| environment.branch.clone()).collect()
}

fn follow(parts: &Parts, mirror: &Mirror, branches: &BTreeSet<BranchName>, tips: &Arc<watch::Sender<TipMap>>) -> Task {
    let (mirror, branches, tips) = (mirror.clone(), branches.clone(), Arc::clone(tips));
    let (nudge, board, metrics) = (Arc::clone(&parts.steering.repository), parts.board.clone(), parts.metrics.clone());
    Task::supervise("follow the repository".to_owned(), &parts.life(), move |shutdown| {
        let follow = RepositoryLoop {
            mirror: mirror.clone(),
            branches: branches.iter().cloned().collect(),
            nudge: Arc::clone(&nudge),
            tips: Arc::clone(&tips),
            board: board.clone(),
            metrics: metrics.clone(),
        };
        async move { shutdown.run_until_cancelled(follow.run()).await.unwrap_or(()) }.boxed()
    })
}

/// Says that the process is ready once every environment has been looked at.
fn watch_first_pass(parts: &Parts, config: &Config) -> Task {
    let names: Vec<String> = config.environments.iter().map(|e| e.name.to_string()).collect();
    let (board, process) = (parts.board.clone(), parts.process.clone());
    Task::supervise("watch the first pass".to_owned(), &parts.life(), move |shutdown| {
        let (names, mut status, process) = (names.clone(), board.subscribe(), process.clone());
        async move {
            let looked_at = status.wait_for(|status| {
                names.iter().all(|name| status.environments.get(name).is_none_or(|e| e.sync != SyncState::Unknown))
            });
            if let Some(Ok(_)) = shutdown.run_until_cancelled(looked_at).await {
                process.send_modify(|state| state.first_pass_done = true);
            }
        }
        .boxed()
    })
}

/// Connects to pods through the API server.
struct Forward(Cluster);

impl Dial for Forward {
    fn dial<'a>(&'a self, pod: &'a PodAddress) -> BoxFuture<'a, Result<Box<dyn Stream>, DialError>> {
        async move {
            match self.0.forward(&pod.namespace, &pod.pod, pod.port).await {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn Stream>),
                Err(problem) => Err(DialError::Forward(problem.to_string())),
            }
        }
        .boxed()
    }
}
