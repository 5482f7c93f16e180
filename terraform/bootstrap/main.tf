# Once an account and environment: where Terraform's state lies, and what GitHub may do.
provider "aws" {
  region = var.region

  default_tags {
    tags = {
      project     = local.project
      environment = var.environment
      managed_by  = "terraform"
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  project    = yamldecode(file("${path.module}/../topology.yaml")).prefix
  prefix     = "${local.project}-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # Outside of the prefix, with whose buckets the apply role may do anything.
  state_bucket = "state-${local.prefix}-${local.account_id}-${var.region}"
  state_arn    = "arn:${local.partition}:s3:::${local.state_bucket}"
  state_key    = "${local.project}/${var.environment}.tfstate"

  # Outside of the prefix, which the apply role may do anything with: it may not change what bounds itself.
  github_prefix = "github-${local.prefix}"
  boundary_arn  = "arn:${local.partition}:iam::${local.account_id}:policy/${local.github_prefix}-boundary"
}
