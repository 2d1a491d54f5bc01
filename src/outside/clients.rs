use super::{HttpClient, KubeClients, OutputFolder, PcaClient, Programs};

/// What a run may touch: one client for each side of the world.
#[derive(Clone, Debug)]
pub struct Clients {
    pub pca: PcaClient,
    pub kube: KubeClients,
    pub files: OutputFolder,
    pub http: HttpClient,
    pub programs: Programs,
}
