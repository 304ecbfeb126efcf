//! The mocks in memory of a loader in this process. Only this module knows both.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::DuplexStream;

use crate::loader::memory::{Connector, MemoryAddress, MemoryCarrier, Pipes};
use crate::mock::{ClientPipes, DriverKind, LinkedArgs, MemoryMocks, Served};

/// Time for mocks to end after their loader has ended.
const MOCKS_LIMIT: Duration = Duration::from_secs(1);

/// The mocks that live in this process.
#[derive(Default)]
pub(super) struct HostedMocks(Arc<MemoryMocks>);

impl HostedMocks {
    /// The connector between a loader and these mocks.
    pub(super) fn connector(&self) -> Arc<dyn Connector> {
        Arc::<MemoryMocks>::clone(&self.0)
    }

    /// Ends them, after their loader has ended.
    pub(super) fn close(self) {
        self.0.close(MOCKS_LIMIT);
    }
}

impl Connector for MemoryMocks {
    fn pipes(&self, address: &MemoryAddress) -> io::Result<Pipes> {
        let ClientPipes { stdin, stdout } = Self::pipes(self, arguments(address)?)?;
        Ok(Pipes { stdin, stdout })
    }

    fn socket(&self, address: &MemoryAddress) -> io::Result<DuplexStream> {
        let path = MemoryAddress::PATH.to_owned();
        let url = format!("http://{}{path}", MemoryAddress::HOST);
        Self::socket(self, arguments(address)?, Served { path, url })
    }
}

/// The arguments that the mock would have as a process.
fn arguments(address: &MemoryAddress) -> io::Result<LinkedArgs> {
    let link = address.link.parse::<SocketAddr>();
    Ok(LinkedArgs {
        driver: match address.carrier {
            MemoryCarrier::Lines => DriverKind::Stdio,
            MemoryCarrier::Http => DriverKind::Http,
        },
        link: link.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        token: address.token.clone(),
        server: address.server.clone(),
    })
}
