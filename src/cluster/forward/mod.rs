//! Port-forward: connections to the ports of a pod, over one connection to the API server.
//!
//! - `start` answers the request: it chooses one of the three ways below, as the client offers them;
//! - `channels`: two channels of a WebSocket for each port, `v4.channel.k8s.io`, as a kubelet speaks it and the kube
//!   crate asks for it;
//! - `tunnel`: SPDY over a WebSocket, `SPDY/3.1+portforward.k8s.io`, as kubectl asks for it since 1.31 (KEP-4006);
//! - `spdy`: SPDY on the bare connection, as older ones do, and newer ones where the tunnel is refused;
//! - `session` is what they share: the pod, its ports, and when all of it ends; `copy` carries the bytes.

mod channels;
mod copy;
mod session;
mod spdy;
mod start;
mod tunnel;

pub(crate) use start::{Forward, asks_for_websocket, start};
