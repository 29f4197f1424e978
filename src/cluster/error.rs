//! What went wrong with a request to the API server, and what that means.
//!
//! The class decides what follows, not the status code: schema errors of an
//! apply come as HTTP 500 without a reason, and they are invalid input.

use std::time::Duration;

use kube::core::Status;

use crate::live::{Rejection, RejectionClass};

/// A request that did not do what it should.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// The API server refused the object itself; another try gives the same answer.
    #[error("{operation}: refused by the API server: {}", rejection.message)]
    Rejected {
        /// What was tried, such as `apply Service/redis in dev`.
        operation: String,
        /// Its class and message.
        rejection: Rejection,
    },
    /// There is no such object.
    #[error("{operation}: not found: {message}")]
    NotFound {
        /// What was tried.
        operation: String,
        /// The API server's message.
        message: String,
    },
    /// The object changed or went between the look and the write.
    #[error("{operation}: the object changed meanwhile: {message}")]
    Conflict {
        /// What was tried.
        operation: String,
        /// The API server's message.
        message: String,
    },
    /// The resourceVersion a watch began from is too old.
    #[error("{operation}: the API server no longer has that version: {message}")]
    Expired {
        /// What was tried.
        operation: String,
        /// The API server's message.
        message: String,
    },
    /// The API server does not know who we are.
    #[error(
        "{operation}: the API server does not accept the credentials: {message}. Check the kubeconfig's user, or the pod's service account"
    )]
    Unauthorized {
        /// What was tried.
        operation: String,
        /// The API server's message.
        message: String,
    },
    /// The API server or something before it has a passing problem.
    #[error("{operation}: {message}")]
    Transient {
        /// What was tried.
        operation: String,
        /// What was said.
        message: String,
    },
    /// No answer in time.
    #[error("{operation}: no answer from the API server within {} s", deadline.as_secs_f32())]
    Deadline {
        /// What was tried.
        operation: String,
        /// The limit.
        deadline: Duration,
    },
    /// The connection configuration is not usable.
    #[error(
        "the cluster cannot be reached: {message}. Set kubernetes.kubeconfig, KUBECONFIG, or run in a pod with a service account"
    )]
    Configuration {
        /// What is wrong with it.
        message: String,
    },
    /// An answer that is not what the API promises.
    #[error("{operation}: the answer was not understood: {message}")]
    Protocol {
        /// What was tried.
        operation: String,
        /// What was wrong with the answer; never its content.
        message: String,
    },
}

impl ClusterError {
    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. } | Self::Deadline { .. } | Self::Protocol { .. } | Self::Expired { .. })
    }

    /// Reads the API server's `Status`. `code` is the HTTP status.
    pub(super) fn from_status(operation: &str, code: u16, status: &Status) -> Self {
        let operation = operation.to_owned();
        let message = status.message.clone();
        let reject = |class| Self::Rejected {
            operation: operation.clone(),
            rejection: Rejection { class, message: message.clone() },
        };
        let webhook = message.contains("failed calling webhook") || message.contains("does not support dry run");
        match (code, status.reason.as_str()) {
            _ if webhook => Self::Transient { operation, message },
            (404, _) if missing_namespace(status) => reject(RejectionClass::NamespaceMissing),
            (404, _) => Self::NotFound { operation, message },
            (409, "AlreadyExists" | "Conflict") | (409, _) => Self::Conflict { operation, message },
            (410, _) | (_, "Expired") => Self::Expired { operation, message },
            (401, _) => Self::Unauthorized { operation, message },
            (403, _) => reject(RejectionClass::Forbidden),
            (422, _) if message.contains("immutable") || message.contains("updates to statefulset spec") => {
                reject(RejectionClass::Immutable)
            }
            (422 | 400 | 405 | 413 | 415, _) => reject(RejectionClass::Invalid),
            (500, "") if message.contains("failed to create typed patch object") => reject(RejectionClass::Invalid),
            _ => Self::Transient { operation, message },
        }
    }
}

fn missing_namespace(status: &Status) -> bool {
    status.details.as_ref().is_some_and(|details| details.kind == "namespaces")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(reason: &str, message: &str) -> Status {
        Status::failure(message, reason)
    }

    #[test]
    fn the_class_is_not_the_status_code() {
        let typed = "failed to create typed patch object (dev/redis; apps/v1, Kind=Deployment): .spec.replicas: expected numeric";
        let cases = [
            (500, "", typed, "invalid"),
            (500, "InternalError", "etcdserver: request timed out", "transient"),
            (500, "InternalError", "failed calling webhook \"x\": connection refused", "transient"),
            (400, "BadRequest", "admission webhook \"x\" does not support dry run", "transient"),
            (422, "Invalid", "spec.selector: Invalid value: field is immutable", "immutable"),
            (422, "Invalid", "Forbidden: updates to statefulset spec for fields other than", "immutable"),
            (403, "Forbidden", "exceeded quota", "forbidden"),
            (429, "TooManyRequests", "slow down", "transient"),
            (409, "Conflict", "uid mismatch", "conflict"),
            (410, "Expired", "too old resource version", "expired"),
        ];
        for (code, reason, message, expected) in cases {
            let found = match ClusterError::from_status("apply X", code, &status(reason, message)) {
                ClusterError::Rejected { rejection, .. } => match rejection.class {
                    RejectionClass::Invalid => "invalid",
                    RejectionClass::Immutable => "immutable",
                    RejectionClass::Forbidden => "forbidden",
                    _ => "other",
                },
                ClusterError::Transient { .. } => "transient",
                ClusterError::Conflict { .. } => "conflict",
                ClusterError::Expired { .. } => "expired",
                _ => "other",
            };
            assert_eq!(found, expected, "{code} {reason} {message}");
        }
    }
}
