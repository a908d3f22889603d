"""The moving picture of the camera on the microscope page, with what to focus and expose by."""
