output "attachment" {
  description = "What a function is attached to."
  value = {
    subnet_ids         = var.subnet_ids
    security_group_ids = toset([aws_security_group.functions.id])
  }
}
