//! The open connections of a server.

use std::collections::BTreeMap;

use crate::history::ConnectionId;
use crate::plan::Revision;
use crate::script::{Generation, Phase, Script};
use crate::server::cause::Place;
use crate::server::conforming::{Advertised, Conforming};
use crate::server::connection::Connection;
use crate::server::rules::Rules;

/// The open connections by number, and how the server makes a new one.
#[derive(Debug)]
pub(super) struct Connections {
    open: BTreeMap<u64, Connection>,
    script: Script,
    newest: Revision,
    /// The tools that a new connection advertises.
    tools: Vec<String>,
}

impl Connections {
    /// No connection yet, for servers with this script that speak at most `newest`.
    pub(super) fn new(script: Script, newest: Revision) -> Self {
        Self { open: BTreeMap::new(), tools: script.tools().to_vec(), script, newest }
    }

    pub(super) fn open(&mut self, number: u64, id: ConnectionId, generation: Generation) {
        let advertised = Advertised::new(self.tools.clone(), self.script.tool_kinds().to_vec(), self.script.features());
        let server = Conforming::new(generation, advertised, self.newest);
        let has_handshake = !server.is_stateless();
        let mut connection = Connection::new(id, server, Rules::new(self.script.rules()));
        if !has_handshake {
            connection.advance(Phase::AfterInitialize);
        }
        self.open.insert(number, connection);
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Connection> {
        self.open.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Connection> {
        self.open.get_mut(&number)
    }

    /// The connection of a place, if it is still open.
    pub(super) fn at(&self, place: Place) -> Option<&Connection> {
        self.get(place.connection?)
    }

    /// The connection of a place, to change it.
    pub(super) fn at_mut(&mut self, place: Place) -> Option<&mut Connection> {
        self.get_mut(place.connection?)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Connection> {
        self.open.remove(&number)
    }

    /// The numbers of all connections.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }

    /// The number of a place's connection; for the whole server, those of all connections.
    pub(super) fn numbers_at(&self, place: Place) -> Vec<u64> {
        place.connection.map_or_else(|| self.numbers(), |number| vec![number])
    }

    /// Advertises these tools from now on.
    pub(super) fn advertise(&mut self, place: Place, tools: &[String]) {
        if place.connection.is_none() {
            self.tools = tools.to_vec();
        }
        for number in self.numbers_at(place) {
            if let Some(connection) = self.get_mut(number) {
                connection.server.advertise(tools);
            }
        }
    }

    /// Something asked every connection to end.
    pub(super) fn begin_shutdown(&mut self) {
        self.open.values_mut().for_each(|connection| connection.phase = Phase::DuringShutdown);
    }
}
