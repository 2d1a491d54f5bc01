use std::collections::BTreeSet;

use windlass_ground::{NoRandomness, private::create_state_folder};

use super::{
    config::Target,
    folders::{Folders, UnsafeOut},
    rehearsal::Rehearsal,
};
use windlass_authority::{AccessKey, Options, Server, StartError};
use windlass_world::outside::{
    AwsClient, Clients, ConnectError, HttpClient, KubeClients, OutputFolder, PcaClient, PcaTarget,
    Programs, SecretReader,
};

/// An open target: its clients, and the embedded servers behind them.
///
/// Dropping it stops the servers.
pub struct OpenTarget {
    pub clients: Clients,
    _authority: Option<Server>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the embedded certificate authority could not be started")]
    Authority(#[from] StartError),
    #[error("the embedded certificate authority could not be given an access key")]
    Key(#[from] NoRandomness),
    #[error("can't create the state folder")]
    Folder(#[source] std::io::Error),
    #[error(transparent)]
    Out(#[from] UnsafeOut),
    #[error("AWS Private CA can't be reached")]
    Pca(#[from] ConnectError),
}

impl OpenError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Authority(_) | Self::Folder(_) | Self::Key(_) | Self::Out(_) => None,
            Self::Pca(error) => error.hint(),
        }
    }
}

impl OpenTarget {
    /// Opens a target; `None` is the built-in one. Its Kubernetes clients reach only `clusters`.
    ///
    /// # Errors
    /// An output folder that scripts must not have, an embedded server that can't start, a CA bundle that can't be read, or contradictory
    /// settings. Asks AWS nothing yet, unless the settings for Private CA leave the region to EC2, or name the account.
    pub async fn open(
        target: Option<&Target>,
        folders: Folders<'_>,
        clusters: BTreeSet<String>,
    ) -> Result<Self, OpenError> {
        folders.check()?;
        let (files, state) = (OutputFolder::new(folders.out), folders.state);
        if let Some(target) = target.filter(|target| !target.has_embedded_pca()) {
            // Without settings for AWS, the target may have nothing to do with it.
            let pca = if target.pca == PcaTarget::default() {
                PcaClient::when_called(&target.pca)
            } else {
                PcaClient::connect(&target.pca).await?
            };
            let kube = match target.mesh() {
                Some(mesh) => {
                    KubeClients::new(Rehearsal::new(&target.folder(state), Some(mesh)), clusters)
                }
                None => KubeClients::new(target.kube(), clusters),
            };
            return Ok(Self {
                clients: of_config(target, pca, kube, files),
                _authority: None,
            });
        }
        // The runs of workers are not in a state folder, but what they rehearse on is.
        create_state_folder(state).map_err(OpenError::Folder)?;
        let home = target.map_or_else(|| state.to_owned(), |target| target.folder(state));
        let rehearsal = Rehearsal::new(&home, target.and_then(Target::mesh));
        let kube = KubeClients::new(rehearsal, clusters);
        // Other users of this machine can reach the port too.
        let key = AccessKey::random()?;
        let options = Options {
            access_keys: vec![key.clone()],
            // Many workflows call no CA.
            creates_when_asked: true,
            ..Options::local(home.join("pca"))
        };
        let region = options.region.clone();
        let server = Server::start(options).await?;
        let credentials = (key.id.as_str(), key.secret.as_str());
        let pca = PcaClient::embedded(&server.endpoint(), &region, credentials);
        let clients = match target {
            // The target's settings for HTTP, programs and the rest of AWS apply in a rehearsal too.
            Some(target) => of_config(target, pca, kube, files),
            None => {
                let aws = AwsClient::embedded(&server.endpoint(), &region, credentials);
                clients_of(pca, aws, kube, files)
            }
        };
        Ok(Self {
            clients,
            _authority: Some(server),
        })
    }
}

/// Creates the clients of a target of the configuration.
fn of_config(target: &Target, pca: PcaClient, kube: KubeClients, files: OutputFolder) -> Clients {
    Clients {
        http: HttpClient::new(target.http.allow.clone()),
        programs: Programs::new(&target.exec.0),
        ..clients_of(pca, AwsClient::new(target.aws()), kube, files)
    }
}

/// Creates clients without settings for HTTP and programs.
fn clients_of(pca: PcaClient, aws: AwsClient, kube: KubeClients, files: OutputFolder) -> Clients {
    Clients {
        pca,
        secrets: SecretReader::new(aws.clone()),
        aws,
        kube,
        files,
        http: HttpClient::default(),
        programs: Programs::default(),
    }
}
