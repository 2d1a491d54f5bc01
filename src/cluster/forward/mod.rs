//! Port-forward: connections to the ports of a pod, over one connection to the API server.
//!
//! - `start` answers the request, and selects one of the three protocols below from those that the client offers;
//! - `channels`: two channels of a WebSocket for each port, `v4.channel.k8s.io`, as supported by kubelets and used by
//!   the kube crate;
//! - `tunnel`: SPDY over a WebSocket, `SPDY/3.1+portforward.k8s.io`, used by kubectl since 1.31 (KEP-4006);
//! - `spdy`: SPDY directly over the connection, used by older versions of kubectl, and by newer ones if the tunnel is
//!   refused;
//! - `session` has what the protocols share: the pod, its ports, and the end of the session; `copy` copies the bytes.

mod channels;
mod copy;
mod session;
mod spdy;
mod start;
mod tunnel;

pub(crate) use start::{Forward, asks_for_websocket, start};
