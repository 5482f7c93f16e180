terraform {
  required_version = ">= 1.11" # the first whose lock file in S3 is no experiment

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # bucket, key and region are given by -backend-config: a backend takes no variables. terraform/bootstrap makes the bucket.
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}
