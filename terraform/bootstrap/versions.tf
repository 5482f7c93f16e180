# The state of this root lies beside it, since the bucket for states is what it makes. It holds no secret. Lost, it is had
# back by imports: `import` blocks (or `terraform import`) of the bucket, its five settings, the provider, both roles, their
# policies and the boundary, whose names all follow from the variables; then a plan that shows no change.
terraform {
  required_version = "~> 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}
