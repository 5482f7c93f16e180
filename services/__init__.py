"""One Lambda function a package, the command (ops), and the embedded stack (local); these two may compose the others."""
