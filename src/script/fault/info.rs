//! The row of a fault.

use crate::history::Impact;

/// One kind of fault: a row of `list faults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultInfo {
    /// Its name in a script. In a history a detail follows, as in `hold:before-answer`.
    pub id: &'static str,
    /// Its effect, in one sentence.
    pub about: &'static str,
    /// The demands that a loader need not meet any more once the server has delivered it.
    pub impairs: Impact,
    /// Its form in a script, and its details.
    pub explain: &'static str,
}
