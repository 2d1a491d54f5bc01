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

impl Clients {
    /// Clients that reach nothing, for what is only read again.
    pub fn nowhere() -> Self {
        Self {
            pca: PcaClient::embedded("http://127.0.0.1:9", "nowhere", ("none", "none")),
            kube: KubeClients::default(),
            files: OutputFolder::new(""),
            http: HttpClient::new(Some(Vec::new())),
            programs: Programs::default(),
        }
    }
}
