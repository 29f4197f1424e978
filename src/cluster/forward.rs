//! A stream to a port of a pod through the API server.

use kube::Api;
use tokio::io::DuplexStream;

use super::{
    client::{Cluster, DEADLINE, with_causes},
    error::ClusterError,
};
use crate::telemetry::Verb;

impl Cluster {
    /// Opens a port-forward to `port` of the pod; needs the rights `get` and
    /// `create` on `pods/portforward`. Dropping the stream ends it.
    pub async fn forward(&self, namespace: &str, pod: &str, port: u16) -> Result<DuplexStream, ClusterError> {
        let operation = format!("port-forward to Pod/{pod} in {namespace}");
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(self.client().clone(), namespace);
        let opened = tokio::time::timeout(DEADLINE, pods.portforward(pod, &[port])).await;
        let transient = |message: String| ClusterError::Transient { operation: operation.clone(), message };
        match opened {
            Err(_) => {
                self.observe(Verb::Forward, None);
                Err(ClusterError::Deadline { operation, deadline: DEADLINE })
            }
            Ok(Err(kube::Error::Api(status))) => {
                self.observe(Verb::Forward, Some(status.code));
                Err(ClusterError::from_status(&operation, status.code, &status))
            }
            Ok(Err(error)) => {
                self.observe(Verb::Forward, None);
                Err(transient(with_causes(&error)))
            }
            Ok(Ok(mut forwarder)) => {
                self.observe(Verb::Forward, Some(101));
                match forwarder.take_stream(port) {
                    Some(stream) => Ok(stream),
                    None => Err(transient("the API server opened no stream".to_owned())),
                }
            }
        }
    }
}
