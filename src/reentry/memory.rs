//! Connects a loader in this process to mocks in memory. Only this module knows both.

use std::io;
use std::net::SocketAddr;

use tokio::io::DuplexStream;

use crate::loader::memory::{Connector, MemoryAddress, MemoryCarrier, Pipes};
use crate::mock::{ClientPipes, DriverKind, LinkedArgs, MemoryMocks, Served};

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
