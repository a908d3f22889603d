"""The requests that the microscope page's server answers, a module for each part of the page."""
