//! A cluster's state, used without a server.

use std::time::Duration;

use crate::{
    controllers::{Cluster, StateError},
    object::now,
    options::Options,
    server::StartError,
    service::Service,
};

/// The setting in which a server stores how long its pods take to become ready.
pub(crate) const POD_DELAY: &str = "pod-delay";

/// The state of a folder, for use within this process. Servers may use the folder at the same time.
pub struct Offline {
    service: Service,
}

impl Offline {
    /// Opens the folder, and creates it if it does not exist. Blocks.
    ///
    /// # Errors
    /// The same as for [`Server::start`](crate::Server::start), except those of listening.
    pub fn open(options: Options) -> Result<Self, StartError> {
        let mut service = Service::open(options)?;
        let delay = service.store.read(|tx| tx.setting(POD_DELAY));
        let delay = delay.map_err(|failure| StartError::Identity(failure.to_string()))?;
        if let Some(millis) = delay.and_then(|text| text.parse().ok()) {
            service.options.pod_delay = Duration::from_millis(millis);
        }
        Ok(Self { service })
    }

    /// Runs the controllers up to the present. Blocks.
    pub fn catch_up(&self) -> Result<(), StateError> {
        Ok(self.service.catch_up()?)
    }

    /// Reads the present state. Blocks.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&Cluster) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let options = &self.service.options;
        let done = self
            .service
            .store
            .read(|tx| Ok(work(&Cluster::new(tx, options, now()))?));
        Ok(done?)
    }

    /// Changes the present state. Blocks.
    pub fn write<T>(
        &self,
        work: impl FnOnce(&Cluster) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let options = &self.service.options;
        let done = self
            .service
            .write(|tx| Ok(work(&Cluster::new(tx, options, now()))?));
        Ok(done?)
    }
}

impl std::fmt::Debug for Offline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offline")
            .field("folder", &self.service.options.folder)
            .finish_non_exhaustive()
    }
}
