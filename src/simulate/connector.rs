//! The servers of a simulated plan, as its loader reaches them. Only this module knows both.

use std::io;

use tokio::io::DuplexStream;

use crate::loader::memory::{Connector, MemoryAddress, Pipes};
use crate::mock::{ClientPipes, NearMocks, Served};

/// Leads a loader to mocks in its own runtime.
pub(super) struct NearConnector(pub(super) NearMocks);

impl Connector for NearConnector {
    fn pipes(&self, address: &MemoryAddress) -> io::Result<Pipes> {
        let ClientPipes { stdin, stdout } = self.0.pipes(&address.server)?;
        Ok(Pipes { stdin, stdout })
    }

    fn socket(&self, address: &MemoryAddress) -> io::Result<DuplexStream> {
        let path = MemoryAddress::PATH.to_owned();
        let url = format!("http://{}{path}", MemoryAddress::HOST);
        self.0.socket(&address.server, Served { path, url })
    }

    fn is_simulated(&self) -> bool {
        true
    }
}
