# One pipeline in one account and region. What it consists of stands in topology.yaml, which the embedded stack deploys too;
# what follows from that is derived in locals.tf, exactly as services/local derives it (tests/terraform holds both equal).
provider "aws" {
  region = var.region

  default_tags {
    tags = {
      project     = local.topology.prefix
      environment = var.environment
      managed_by  = "terraform"
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}
