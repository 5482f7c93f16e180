# Run by ci.yml only: neither tflint nor its plugins come from a package registry. Versions as released; Dependabot does
# not know this file, so they are moved by hand.
config {
  call_module_type = "local"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}

plugin "aws" {
  enabled = true
  version = "0.48.0"
  source  = "github.com/terraform-linters/tflint-ruleset-aws"
}

# Small modules of one concern keep variables and outputs in files of their own only where there are many.
rule "terraform_standard_module_structure" {
  enabled = false
}
