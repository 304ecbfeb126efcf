//! rmcp over streamable HTTP, as its README uses it, where the feature `rmcp-reqwest` is on.

use mcp_lifecheck::loader::target::Failure;

use super::plain::Service;
use crate::reference::HttpAddress;

#[cfg(feature = "rmcp-reqwest")]
pub(super) use with_reqwest::connect;
#[cfg(not(feature = "rmcp-reqwest"))]
pub(super) use without_reqwest::connect;

#[cfg(not(feature = "rmcp-reqwest"))]
mod without_reqwest {
    use super::{Failure, HttpAddress, Service};
    use crate::broken::plain::failure;

    pub(in crate::broken) async fn connect(address: &HttpAddress) -> Result<Service, Failure> {
        let message = format!("found a server over {}, which needs a build with feature `rmcp-reqwest`", address.kind);
        Err(failure("TransportUnavailable", &message))
    }
}

#[cfg(feature = "rmcp-reqwest")]
mod with_reqwest {
    use std::collections::HashMap;

    use rmcp::ServiceExt;
    use rmcp::transport::StreamableHttpClientTransport;
    use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;

    use super::{Failure, HttpAddress, Service};
    use crate::broken::plain::failure;
    use crate::reference::HttpKind;

    pub(in crate::broken) async fn connect(address: &HttpAddress) -> Result<Service, Failure> {
        match address.kind {
            HttpKind::Streamable => {}
            HttpKind::LegacySse => return Err(failure("TransportUnavailable", "rmcp has no legacy HTTP+SSE")),
        }
        let mut headers = HashMap::new();
        for (name, value) in &address.headers {
            let name = name.parse().map_err(|_| failure("BadHeader", name))?;
            headers.insert(name, value.parse().map_err(|_| failure("BadHeader", "a value"))?);
        }
        let config = StreamableHttpClientTransportConfig::with_uri(address.url.as_str()).custom_headers(headers);
        let transport = StreamableHttpClientTransport::from_config(config);
        ().serve(transport).await.map_err(|error| Failure::of("ClientInitializeError", &error))
    }
}
