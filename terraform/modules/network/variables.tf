variable "prefix" {
  type        = string
  description = "What every name begins with."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.prefix))
    error_message = "Expected a prefix of at most 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "region" {
  type        = string
  description = "The region of the endpoints' services."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Expected a region, as eu-west-2."
  }
}

variable "subnet_ids" {
  type        = set(string)
  description = "Subnets of one VPC. In one zone alone, the loss of that zone stops everything."

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "Expected a subnet at least."
  }
}

variable "route_table_ids" {
  type        = set(string)
  description = "Route tables of these subnets. Of one that is missing, its subnet's functions do not reach S3."

  validation {
    condition     = !var.endpoints || length(var.route_table_ids) > 0
    error_message = "Expected the subnets' route tables: S3's endpoint is a route."
  }
}

variable "databases" {
  type        = map(object({ cidr = string, port = number }))
  description = "Where source and warehouse stand. To one that is missing no session is opened."

  validation {
    condition     = length(var.databases) > 0
    error_message = "Expected source and warehouse."
  }
}

variable "endpoints" {
  type        = bool
  description = "Whether AWS's services are reached by endpoints that are made here. Without, by a gateway of the subnets."
  nullable    = false
}

variable "services" {
  type        = list(string)
  description = "Services with an interface endpoint, beside S3. One that is missing is not reached."

  validation {
    condition     = length(setsubtract(["sqs", "secretsmanager"], var.services)) == 0
    error_message = "Expected sqs and secretsmanager at least: every function uses the first, and whoever opens a session the second."
  }
}
