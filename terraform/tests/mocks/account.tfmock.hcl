# What AWS alone would tell.
mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_subnet" {
  defaults = { vpc_id = "vpc-1" }
}

mock_data "aws_vpc" {
  defaults = { id = "vpc-1" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/made-up" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-west-2:123456789012:key/made-up" }
}

mock_resource "aws_lambda_function" {
  defaults = { arn = "arn:aws:lambda:eu-west-2:123456789012:function:made-up" }
}

mock_resource "aws_lambda_layer_version" {
  defaults = { arn = "arn:aws:lambda:eu-west-2:123456789012:layer:made-up:1" }
}

mock_resource "aws_security_group" {
  defaults = { id = "sg-1" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-west-2:123456789012:made-up" }
}

mock_resource "aws_sqs_queue" {
  defaults = { arn = "arn:aws:sqs:eu-west-2:123456789012:made-up" }
}

mock_resource "aws_vpc_endpoint" {
  defaults = { prefix_list_id = "pl-1" }
}
