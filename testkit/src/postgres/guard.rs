// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends a server whose test process is gone without having dropped it: killed, or ended with the server in a static.
//!
//! Owns a shell that waits for the end of a pipe that only the test process holds open. Never ends a process other than that server.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Told `done`, it leaves. At the end of its input it ends the server, if the process of that id still is that server, and removes the folder.
const SCRIPT: &str = r#"
read -r word
[ "$word" = done ] && exit 0
case "$(readlink "/proc/$1/cwd")" in
"$2"/*) kill -QUIT "$1" ;;
esac
for pause in 1 2 3 4 5 6 7 8 9 10; do
    [ -d "/proc/$1" ] || break
    sleep 0.2
done
rm -rf -- "$2"
"#;

/// A waiting shell.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Watches over a server.
    pub(super) fn set(server: u32, folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "guard", &server.to_string()]).arg(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: an interrupt from the keyboard ends the test and not its guard.
        let child = command.current_dir("/").process_group(0).spawn();
        Self(child.unwrap_or_else(|error| panic!("cannot start sh: {error}")))
    }

    /// The server was stopped by the test itself.
    pub(super) fn dismiss(mut self) {
        if let Some(mut input) = self.0.stdin.take() {
            drop(input.write_all(b"done\n"));
        }
        drop(self.0.wait());
    }
}
