//! A mock that is not what its script says makes no verdict: it is asked something before a run judges.

use crate::rig::Rig;

const MUTE: &str = "about = \"Answers no ping.\"\n[[rule]]\non = { request = \"ping\" }\ndo = [\"drop\"]\n";

#[test]
fn a_mock_that_does_not_answer_before_the_run_makes_its_plans_inconclusive() {
    let rig = Rig::new();
    let script = rig.file("mute.toml", MUTE);
    let text = format!(
        "about = \"x\"\nservers = [{{ name = \"files\", script = {:?} }}]\n[[step]]\ndo = \"load\"\n[[step]]\ndo = \"close\"\n",
        script.display().to_string()
    );
    let scenario = rig.file("asks-nothing.toml", &text);
    let ran = rig.finish(rig.run_command(&[scenario.to_str().unwrap(), "--polite-only", "--transport", "stdio"]));
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("no exchange within 10 s"), "{}", ran.stdout);
}
