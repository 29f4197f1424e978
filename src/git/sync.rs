//! One poll, on a thread that may block: list the branches, compare, fetch what
//! is new, and keep the mirror whole and small.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use git2::{AutotagOption, Direction, ErrorClass, FetchOptions, Oid, Remote, RemoteCallbacks, Repository};

use super::{
    BranchTip, GitError, Operation, Rebuilt, RemoteFailure, Tips,
    store::{Store, folder_error},
    transport::{self, Exchange},
};
use crate::{environment::BranchName, repository::RepositoryUrl, revision::Revision};

/// Each fetch leaves a pack, and each look-up asks every pack.
const MAX_PACKS: usize = 64;

/// Runs one poll of `store`.
pub(super) fn poll(store: &Store, exchange: &Arc<Exchange>, branches: &[BranchName]) -> Result<Tips, GitError> {
    let damage = store.damage();
    let folder = match damage {
        Some(_) => store.aside()?,
        None => store.folder.clone(),
    };
    let sync = Sync { store, exchange, folder };
    let mut tips = exchange.during(|| sync.run(branches))?;
    if let Some(damage) = damage {
        store.swap(&sync.folder)?;
        tips.rebuilt = Some(Rebuilt::Corrupt(damage));
    } else if tips.fetched {
        let packs = packs(&store.folder);
        if packs > MAX_PACKS {
            compact(store)?;
            tips.rebuilt = Some(Rebuilt::Packs(packs));
        }
    }
    Ok(tips)
}

struct Sync<'a> {
    store: &'a Store,
    exchange: &'a Arc<Exchange>,
    folder: PathBuf,
}

impl Sync<'_> {
    fn run(&self, branches: &[BranchName]) -> Result<Tips, GitError> {
        let opened = Repository::open_bare(&self.folder);
        let repository = opened.map_err(|error| folder_error(&self.folder, "opened", error.message()))?;
        let address = match &self.store.url {
            RepositoryUrl::Http(_) => transport::URL.to_owned(),
            RepositoryUrl::Path(path) => path.display().to_string(),
        };
        let mut remote = repository.remote_anonymous(&address).map_err(|error| self.remote_error(&error))?;
        let advertised = self.list(&mut remote, branches)?;
        let known: BTreeMap<&BranchName, Oid> = branches
            .iter()
            .filter_map(|branch| Some((branch, repository.refname_to_id(&reference(branch)).ok()?)))
            .collect();
        let stale: Vec<&BranchName> = advertised
            .iter()
            .filter(|(branch, id)| known.get(*branch) != Some(*id))
            .map(|(branch, _)| *branch)
            .collect();
        if !stale.is_empty() {
            self.fetch(&mut remote, &stale)?;
        }
        let mut tips = Tips { branches: BTreeMap::new(), fetched: !stale.is_empty(), rebuilt: None };
        for branch in branches {
            let tip = match advertised.get(branch) {
                None => BranchTip::Missing,
                Some(id) => {
                    let rewound = match known.get(branch) {
                        Some(before) if before != id => self.rewound(&repository, branch, *before, *id)?,
                        _ => false,
                    };
                    BranchTip::At { revision: revision(*id), rewound }
                }
            };
            tips.branches.insert(branch.clone(), tip);
        }
        Ok(tips)
    }

    /// Connects, and gives the tips of those `branches` that exist.
    fn list<'b>(
        &self,
        remote: &mut Remote<'_>,
        branches: &'b [BranchName],
    ) -> Result<BTreeMap<&'b BranchName, Oid>, GitError> {
        self.exchange.begin(Operation::List);
        // Not `connect_auth`: the guard it returns would end the connection
        // that the fetch goes on to use.
        remote.connect(Direction::Fetch).map_err(|error| self.remote_error(&error))?;
        let heads = remote.list().map_err(|error| self.remote_error(&error))?;
        let heads: BTreeMap<&str, Oid> = heads.iter().map(|head| (head.name(), head.oid())).collect();
        let tip = |branch: &'b BranchName| Some((branch, *heads.get(reference(branch).as_str())?));
        Ok(branches.iter().filter_map(tip).collect())
    }

    fn fetch(&self, remote: &mut Remote<'_>, branches: &[&BranchName]) -> Result<(), GitError> {
        self.exchange.begin(Operation::Fetch);
        let mut callbacks = RemoteCallbacks::new();
        callbacks.transfer_progress(|_| self.exchange.stopped().is_none());
        callbacks.sideband_progress(|_| self.exchange.stopped().is_none());
        let mut options = FetchOptions::new();
        options.remote_callbacks(callbacks);
        options.download_tags(AutotagOption::None);
        options.update_fetchhead(false);
        let specs: Vec<String> = branches
            .iter()
            .map(|branch| {
                let name = reference(branch);
                format!("+{name}:{name}")
            })
            .collect();
        remote.fetch(&specs, Some(&mut options), None).map_err(|error| self.remote_error(&error))
    }

    /// Whether `after` does not build on `before`, which is then kept readable.
    fn rewound(&self, repository: &Repository, branch: &BranchName, before: Oid, after: Oid) -> Result<bool, GitError> {
        let descends = repository.graph_descendant_of(after, before);
        let rewound = !descends.map_err(|error| self.local_error(&error))?;
        if rewound {
            let kept = format!("refs/rewound/{branch}");
            repository.reference(&kept, before, true, "").map_err(|error| self.local_error(&error))?;
        }
        Ok(rewound)
    }

    /// Our own mirror misbehaved: it is rebuilt by the next poll.
    fn local_error(&self, error: &git2::Error) -> GitError {
        self.store.report_damage(error.message().to_owned());
        folder_error(&self.folder, "read", format!("{}; the next poll rebuilds it", error.message()))
    }

    fn remote_error(&self, error: &git2::Error) -> GitError {
        if let Some(failure) = self.exchange.failure() {
            return self.remote_failure(failure);
        }
        let local = matches!(self.store.url, RepositoryUrl::Path(_));
        match error.class() {
            ErrorClass::Odb | ErrorClass::Reference | ErrorClass::Object | ErrorClass::Zlib => self.local_error(error),
            ErrorClass::Os | ErrorClass::Filesystem => folder_error(&self.folder, "written", error.message()),
            ErrorClass::Net | ErrorClass::Repository if local => self.remote_failure(RemoteFailure::NotFound),
            _ => self.remote_failure(RemoteFailure::Protocol(error.message().to_owned())),
        }
    }

    fn remote_failure(&self, failure: RemoteFailure) -> GitError {
        GitError::Remote { operation: self.exchange.operation(), url: self.store.url.clone(), failure }
    }
}

fn reference(branch: &BranchName) -> String {
    format!("refs/heads/{branch}")
}

pub(super) fn revision(id: Oid) -> Revision {
    Revision::try_from(id.to_string()).expect("libgit2 writes an id as 40 or 64 lower-case hexadecimal digits")
}

fn packs(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder.join("objects/pack")) else { return 0 };
    entries.flatten().filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack")).count()
}

/// Copies what the refs reach into one pack, and puts that in the mirror's place.
fn compact(store: &Store) -> Result<(), GitError> {
    let aside = store.aside()?;
    let failed = |error: git2::Error| folder_error(&aside, "filled", error.message());
    let copy = Repository::open_bare(&aside).map_err(failed)?;
    let mut from = copy.remote_anonymous(&store.folder.display().to_string()).map_err(failed)?;
    let mut options = FetchOptions::new();
    options.download_tags(AutotagOption::None);
    options.update_fetchhead(false);
    from.fetch(&["+refs/*:refs/*"], Some(&mut options), None).map_err(failed)?;
    drop(from);
    drop(copy);
    store.swap(&aside)
}
