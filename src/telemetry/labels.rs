//! The closed label values, as types: a misspelt label cannot be exported.

/// How a sync of an environment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncResult {
    /// The commit is applied whole.
    Success,
    /// The commit could not be rendered, observed or applied.
    Failure,
    /// A guard or the API server refused it; nothing of it is applied.
    Refused,
}

impl SyncResult {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Refused];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Refused => "refused",
        }
    }
}

/// A stage of a sync, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Files of the commit to manifests.
    Render,
    /// Live objects and the server's dry-run answers.
    Observe,
    /// Desired and live to a plan.
    Plan,
    /// Server-side apply of everything the plan writes.
    Apply,
    /// Deletion of what left Git.
    Prune,
}

impl Stage {
    /// Every value.
    pub const ALL: [Self; 5] = [Self::Render, Self::Observe, Self::Plan, Self::Apply, Self::Prune];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Render => "render",
            Self::Observe => "observe",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Prune => "prune",
        }
    }
}

/// How an attempt to learn a repository's tips ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchResult {
    /// It answered, with or without news.
    Success,
    /// It did not answer, or not usefully.
    Failure,
}

impl FetchResult {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Success, Self::Failure];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// What a request asked of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read one object, or the server's version and resources.
    Get,
    /// Read many.
    List,
    /// Follow changes.
    Watch,
    /// Server-side apply.
    Apply,
    /// Server-side apply that persists nothing.
    DryRun,
    /// Any other patch.
    Patch,
    /// Create.
    Create,
    /// Replace.
    Update,
    /// Delete.
    Delete,
    /// Open a port-forward.
    Forward,
}

impl Verb {
    /// Every value.
    pub const ALL: [Self; 10] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Apply,
        Self::DryRun,
        Self::Patch,
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Forward,
    ];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Apply => "apply",
            Self::DryRun => "dry_run",
            Self::Patch => "patch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Forward => "forward",
        }
    }
}
