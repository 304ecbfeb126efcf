//! Draws lives at random.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::explore::build::build;
use crate::explore::draft::{Draft, DraftServer, End, Move, Stay};
use crate::explore::ground::Palette;
use crate::plan::Scenario;

/// Most servers of a drawn life.
const SERVERS_MAX: usize = 3;
/// Most moves of a drawn life, before and after those that make it whole.
const MOVES_MAX: usize = 12;
/// How often a step is repeated, where it is.
const TIMES_MAX: u32 = 4;
/// Longest window in which a drawn life requests nothing.
const IDLE_MS_MAX: u64 = 200;

/// The life of a case. Equal palettes, seeds and numbers of cases give equal lives.
pub(super) fn draw(palette: &Palette, seed: u64, case: u64) -> Scenario {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&case.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    let tree = draft().new_tree(&mut runner).expect("no strategy rejects a value");
    build(&format!("case-{seed}-{case}"), &tree.current(), palette)
}

fn draft() -> impl Strategy<Value = Draft> {
    (any::<Index>(), vec(server(), 1..=SERVERS_MAX), vec(one_move(), 1..=MOVES_MAX), end())
        .prop_map(|(ground, servers, moves, end)| Draft { ground, servers, moves, end })
}

fn server() -> impl Strategy<Value = DraftServer> {
    let script = prop_oneof![2 => Just(None), 3 => any::<Index>().prop_map(Some)];
    let rarely = || prop_oneof![5 => Just(false), 1 => Just(true)];
    (script, rarely(), rarely(), rarely()).prop_map(|(script, is_late, is_stubborn, is_wrapped)| DraftServer {
        script,
        is_late,
        is_stubborn,
        is_wrapped,
    })
}

fn stay() -> impl Strategy<Value = Stay> {
    prop_oneof![5 => Just(Stay::ToTheEnd), 2 => Just(Stay::UntilInFlight), 1 => Just(Stay::NotAtAll)]
}

fn one_move() -> impl Strategy<Value = Move> {
    let index = any::<Index>;
    let times = prop_oneof![6 => Just(1), 1 => 2..=TIMES_MAX];
    prop_oneof![
        1 => (index(), stay()).prop_map(|(place, stay)| Move::Load { place, stay }),
        1 => (index(), stay()).prop_map(|(place, stay)| Move::Rerun { place, stay }),
        2 => (index(), stay(), index()).prop_map(|(place, stay, server)| Move::Reload { place, stay, server }),
        8 => (index(), stay(), index(), times)
            .prop_map(|(place, stay, server, times)| Move::Call { place, stay, server, times }),
        1 => (index(), stay()).prop_map(|(place, stay)| Move::List { place, stay }),
        1 => (index(), stay()).prop_map(|(place, stay)| Move::Close { place, stay }),
        1 => Just(Move::Collect),
        3 => index().prop_map(|operation| Move::Cancel { operation }),
        2 => index().prop_map(|operation| Move::Await { operation }),
        3 => index().prop_map(|gate| Move::OpenGate { gate }),
        1 => index().prop_map(|place| Move::DropContext { place }),
        1 => index().prop_map(|server| Move::KillServer { server }),
        1 => (1..=IDLE_MS_MAX).prop_map(|ms| Move::Idle { window: Duration::from_millis(ms) }),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        12 => (any::<Index>(), any::<bool>())
            .prop_map(|(place, opens_gates_first)| End::Close { place, opens_gates_first }),
        2 => Just(End::Exit),
        1 => prop_oneof![Just("TERM"), Just("INT"), Just("HUP")].prop_map(End::Signal),
    ]
}
