use super::{AwsClient, HttpClient, KubeClients, OutputFolder, PcaClient, Programs, SecretReader};

/// The clients that a run may use: one for each kind of other side.
#[derive(Clone, Debug)]
pub struct Clients {
    pub pca: PcaClient,
    pub aws: AwsClient,
    pub kube: KubeClients,
    pub files: OutputFolder,
    pub http: HttpClient,
    pub programs: Programs,
    pub secrets: SecretReader,
}

impl Clients {
    /// Clients that reach nothing, for work that only reads records.
    pub fn nowhere() -> Self {
        Self {
            pca: PcaClient::embedded("http://127.0.0.1:9", "nowhere", ("none", "none")),
            aws: AwsClient::nowhere(),
            kube: KubeClients::default(),
            files: OutputFolder::new(""),
            http: HttpClient::new(Some(Vec::new())),
            programs: Programs::default(),
            secrets: SecretReader::nowhere(),
        }
    }
}
