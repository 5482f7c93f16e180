# The functions' way out of a VPC: to the databases, to S3, and to the interface endpoints or, without them, to whatever
# gateway the subnets have.
data "aws_subnet" "first" {
  id = sort(var.subnet_ids)[0]
}

data "aws_vpc" "this" {
  id = data.aws_subnet.first.vpc_id
}

resource "aws_security_group" "functions" {
  #checkov:skip=CKV2_AWS_5: attached to every function, in another module
  name        = "${var.prefix}-functions"
  description = "Way out of the functions of ${var.prefix}; nothing comes in."
  vpc_id      = data.aws_vpc.this.id
}

resource "aws_vpc_security_group_egress_rule" "database" {
  for_each = var.databases

  security_group_id = aws_security_group.functions.id
  description       = "Postgres: ${each.key}"
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = each.value.cidr
}

# Addresses of AWS's services are not known before where they are reached through a gateway of the subnets.
resource "aws_vpc_security_group_egress_rule" "gateway" {
  count = var.endpoints ? 0 : 1

  security_group_id = aws_security_group.functions.id
  description       = "AWS's services, through a gateway of the subnets"
  ip_protocol       = "tcp"
  from_port         = local.https
  to_port           = local.https
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_endpoint" "s3" {
  count = var.endpoints ? 1 : 0

  vpc_id            = data.aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  count = var.endpoints ? 1 : 0

  security_group_id = aws_security_group.functions.id
  description       = "S3, by its gateway endpoint"
  ip_protocol       = "tcp"
  from_port         = local.https
  to_port           = local.https
  prefix_list_id    = aws_vpc_endpoint.s3[0].prefix_list_id
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.endpoints ? toset(var.services) : []

  vpc_id              = data.aws_vpc.this.id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true
}

resource "aws_security_group" "endpoints" {
  count = var.endpoints ? 1 : 0

  name        = "${var.prefix}-endpoints"
  description = "Way into the endpoints, for the functions of ${var.prefix} alone."
  vpc_id      = data.aws_vpc.this.id
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = var.endpoints ? 1 : 0

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "From the functions"
  ip_protocol                  = "tcp"
  from_port                    = local.https
  to_port                      = local.https
  referenced_security_group_id = aws_security_group.functions.id
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  count = var.endpoints ? 1 : 0

  security_group_id            = aws_security_group.functions.id
  description                  = "To the endpoints"
  ip_protocol                  = "tcp"
  from_port                    = local.https
  to_port                      = local.https
  referenced_security_group_id = aws_security_group.endpoints[0].id
}

locals {
  https = 443
}
