//! The Python helper by itself, where its insides matter more than what comes of them.

use std::process::Command;

use crate::rig::root;

/// A loader that disables the garbage collector in the very moment in which a thread of the helper gives it back.
const RACE: &str = r"
import gc

truly_enabled = gc.isenabled
import mcp_lifecheck_adapter as lifecheck

collector = lifecheck._collector
collector.install()
collector.hold_off()
assert gc.isenabled() and not truly_enabled(), 'the loader sees what it wants, not what is'

enable = collector._enable
def enable_late():
    gc.disable()
    enable()
collector._enable = enable_late
collector.let_go()
collector._enable = enable
assert not gc.isenabled() and not truly_enabled(), 'the disable of the loader was undone'

gc.enable()
collector.hold_off()
collector.let_go()
assert gc.isenabled() and truly_enabled(), 'the collector was kept'
";

/// A scope of the program's that is never left, and one of a library's that has the same id later and is left elsewhere.
const RECYCLED: &str = r"
import threading
import mcp_lifecheck_adapter as lifecheck

class CancelScope:
    def __enter__(self):
        return self
    def __exit__(self, *_):
        return False

class Adapter:
    scopes = lifecheck._Scopes(lambda event: reported.append(event['event']))

reported = []
lifecheck._observe_cancel_scopes(CancelScope, Adapter)
def enter(scope, owner):
    lifecheck._creator = lambda frame: owner
    # From another file: what the class enters itself is no scope of its own.
    exec(compile('scope.__enter__()', 'elsewhere', 'exec'), {'scope': scope})

def leave(scope):
    scope.__exit__(None, None, None)

def elsewhere(*actions):
    thread = threading.Thread(target=lambda: [action() for action in actions])
    thread.start()
    thread.join()

scope = CancelScope()
enter(scope, 'program')
elsewhere(lambda: enter(scope, None), lambda: leave(scope))
assert reported == [], reported

enter(scope, 'program')
elsewhere(lambda: leave(scope))
assert reported == ['scope.enter', 'scope.exit'], reported
";

/// Errors that come through the program's own files, through those of a package, and out of a group.
const CODE: &str = r"
import sys
import mcp_lifecheck_adapter as lifecheck

class Link:
    takes_code = True

lifecheck._adapter.link = Link()
lifecheck._adapter.folder = '/app'

def of(file, text):
    names = {}
    exec(compile(text, file, 'exec'), names)
    return names

def lines(error):
    code = lifecheck._describe(error).get('code', ())
    return ['{file}:{line} in {in}'.format(**line) for line in code]

def raised(call):
    try:
        call()
    except BaseException as error:
        return error

package = of('/venv/lib/site-packages/sdk/client.py', 'def connect():\n    raise OSError(1)\ndef run(f):\n    f()')
loader = of('/app/loader.py', 'def load(f):\n\n    f()\ndef run(f):\n    load(f)')
assert lines(raised(lambda: loader['run'](package['connect']))) == ['loader.py:3 in load', 'loader.py:5 in run']
assert lines(raised(package['connect'])) == [], 'no line of its own'
callback = raised(lambda: package['run'](lambda: loader['load'](package['connect'])))
assert lines(callback) == ['loader.py:3 in load'], lines(callback)

outer = OSError('wrapped')
outer.__cause__ = callback
assert lines(outer) == ['loader.py:3 in load'], 'the line of its cause'
circle = OSError('circle')
circle.__context__ = outer
outer.__context__ = circle
outer.__cause__ = None
assert lines(outer) == [], 'a circle ends'

lifecheck.OWNED.add('sdk')
package['__name__'] = 'sdk.client'
assert [line.split(' ')[1:] for line in lines(raised(package['connect']))] == [['in', 'connect']]

Link.takes_code = False
assert 'code' not in lifecheck._describe(callback), 'an older mcp-lifecheck would end the link'
";

#[test]
fn an_error_names_the_lines_of_the_program_and_of_no_other() {
    run(CODE);
}

#[test]
fn a_scope_that_was_never_left_is_not_left_by_what_gets_its_id() {
    run(RECYCLED);
}

#[test]
fn the_garbage_collector_is_given_back_as_the_loader_wants_it() {
    run(RACE);
}

fn run(program: &str) {
    let helper = root().join("adapters/python");
    let mut python = Command::new("python3");
    let Ok(ran) = python.args(["-c", program]).env("PYTHONPATH", helper).output() else {
        eprintln!("UNAVAILABLE: the Python helper was not tested: no python3");
        return;
    };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
