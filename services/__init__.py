"""One Lambda function a package; ops (the command) and local (the embedded stack) may compose the others."""
