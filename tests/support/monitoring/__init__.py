"""What tests of dashboards, their pictures and the drills of alerts share."""
